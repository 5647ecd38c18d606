/**
 * What the policy sees: `input`, as a schema and as types.
 *
 * `sallyport check` type-checks policies against the schema, so a misspelt
 * `input.request.boddy` is an error before it ships.
 */

const string = { type: 'string' } as const
const strings = { type: 'array', items: string } as const
/** OPA's type checker reads `anyOf`; of a list of types it takes the first alone. */
const nullable = (type: 'string' | 'integer') => ({ anyOf: [{ type }, { type: 'null' }] })
const open = { type: 'object', additionalProperties: true } as const

/** @param optional - Properties that may be missing. */
function closed<P extends Record<string, object>>(
  properties: P,
  optional: Readonly<Record<string, object>> = {},
) {
  return {
    type: 'object' as const,
    additionalProperties: false as const,
    required: Object.keys(properties),
    properties: { ...properties, ...optional },
  }
}

export const OPERATIONS = ['chat', 'completion', 'embedding', 'models', 'other'] as const
export type Operation = (typeof OPERATIONS)[number]
/** Those that make a model generate tokens. */
export const GENERATING: ReadonlySet<Operation> = new Set(['chat', 'completion'])

export const inputSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport input',
  description: 'What gateway/decision is asked about',
  ...closed({
    request: closed({
      id: string,
      method: string,
      path: string,
      segments: strings,
      query: { type: 'object', additionalProperties: strings },
      headers: { type: 'object', additionalProperties: string },
      client_ip: string,
      tls: { type: 'boolean' },
      operation: { type: 'string', enum: OPERATIONS },
      model: nullable('string'),
      stream: { type: 'boolean' },
      body: {},
      body_bytes: { type: 'integer' },
      estimated_input_tokens: { type: 'integer' },
      max_output_tokens: nullable('integer'),
    }),
    principal: closed({
      id: string,
      kind: string,
      roles: strings,
      team: nullable('string'),
      authenticated: { type: 'boolean' },
      method: string,
      key_id: nullable('string'),
      claims: open,
      expires_at: nullable('string'),
    }),
    grants: {
      type: 'array',
      items: closed(
        {
          id: string,
          models: strings,
          roles: strings,
          expires_at: string,
          approved_by: nullable('string'),
          reason: string,
        },
        { emergency: { type: 'boolean', description: 'Only of a grant that broke the glass' } },
      ),
    },
    pools: {
      type: 'object',
      additionalProperties: closed({
        models: strings,
        healthy: { type: 'integer' },
        targets: { type: 'integer' },
        in_flight: { type: 'integer' },
        queued: { type: 'integer' },
      }),
    },
    policy: closed({ revision: string, age_seconds: { type: 'integer' } }),
    time: closed({ now_ns: { type: 'integer' } }),
  }),
} as const

/** Who calls, as the policy and the audit record see it. */
export interface Principal {
  readonly id: string
  readonly kind: string
  readonly roles: readonly string[]
  readonly team: string | null
  readonly authenticated: boolean
  /** How it was established: `api_key`, `jwt`, `introspection`, `client_certificate`, `anonymous`. */
  readonly method: string
  readonly key_id: string | null
  readonly claims: Readonly<Record<string, unknown>>
  /** RFC 3339, when the credential ends. */
  readonly expires_at: string | null
}

/** How a pool is doing at this moment. */
export interface PoolFacts {
  readonly models: readonly string[]
  readonly healthy: number
  readonly targets: number
  readonly in_flight: number
  readonly queued: number
}
