/**
 * Validation by JSON Schema. The one door of `ajv`.
 */
import { Ajv, type ErrorObject } from 'ajv'

export interface SchemaProblem {
  /** A JSON pointer to the value. */
  readonly pointer: string
  /** Ajv's keyword: `additionalProperties`, `type`, `required`, … */
  readonly keyword: string
  readonly message: string
  readonly params: Readonly<Record<string, unknown>>
  /** The schema that the value should have met. */
  readonly schema: Readonly<Record<string, unknown>>
}

/** @returns What is wrong; nothing when the value fits. */
export type Validate = (value: unknown) => readonly SchemaProblem[]

const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/

/**
 * @param schema - A JSON Schema, draft 7.
 * @param options - `defaults` writes the schema's defaults into the value as it is checked; `all`
 *   finds every problem instead of the first.
 */
export function compileSchema(schema: object, options: { defaults?: boolean; all?: boolean } = {}): Validate {
  const ajv = new Ajv({
    allErrors: options.all ?? false,
    useDefaults: options.defaults ?? false,
    verbose: true,
    strictRequired: false,
    strictTypes: false,
    formats: {
      'date-time': text => RFC3339.test(text) && !Number.isNaN(Date.parse(text)),
      timezone: isTimeZone,
    },
  })
  const validate = ajv.compile(schema)
  return value => (validate(value) ? [] : (validate.errors ?? []).map(describe))
}

const zones = new Map<string, boolean>()

function isTimeZone(name: string): boolean {
  const known = zones.get(name)
  if (known !== undefined) return known
  let good = true
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
  } catch {
    good = false
  }
  if (zones.size < 1000) zones.set(name, good)
  return good
}

function describe(error: ErrorObject): SchemaProblem {
  return {
    pointer: error.instancePath,
    keyword: error.keyword,
    message: error.message ?? error.keyword,
    params: error.params,
    schema: (error.parentSchema ?? {}) as Record<string, unknown>,
  }
}
