/**
 * Validation by JSON Schema. The one door of `ajv`.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'

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
export function compileSchema(schema: object, options: SchemaOptions = {}): Validate {
  let validate: ValidateFunction | undefined
  return value => {
    // Compiled when it is first needed: a command that starts needs few of them.
    validate ??= compilerFor(options).compile(schema)
    return problemsOf(validate, value)
  }
}

/** As `compileSchema`, of a schema that somebody else wrote. @throws Error when it is none */
export function compileForeignSchema(schema: object, options: SchemaOptions = {}): Validate {
  // On a compiler of its own: two of them may have the same name.
  const validate = newCompiler(options, CHECKED).compile(schema)
  return value => problemsOf(validate, value)
}

function problemsOf(validate: ValidateFunction, value: unknown): readonly SchemaProblem[] {
  return validate(value) ? [] : (validate.errors ?? []).map(describe)
}

interface SchemaOptions {
  readonly defaults?: boolean
  readonly all?: boolean
}

/** One for each set of options. */
const compilers = new Map<string, Ajv>()

function compilerFor(options: SchemaOptions): Ajv {
  const name = JSON.stringify(options)
  const compiler = compilers.get(name) ?? newCompiler(options, TRUSTED)
  compilers.set(name, compiler)
  return compiler
}

/** Held against the schema of schemas first. */
const CHECKED: Options = {}
/** Ours are held against it by a test: doing that, and polishing what is run seldom, is half of what compiling takes. */
const TRUSTED: Options = { validateSchema: false, meta: false, code: { optimize: false } }

function newCompiler({ all = false, defaults = false }: SchemaOptions, care: Options): Ajv {
  return new Ajv({
    ...care,
    allErrors: all,
    useDefaults: defaults,
    verbose: true,
    strictRequired: false,
    strictTypes: false,
    formats: {
      'date-time': text => RFC3339.test(text) && !Number.isNaN(Date.parse(text)),
      timezone: isTimeZone,
    },
  })
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
