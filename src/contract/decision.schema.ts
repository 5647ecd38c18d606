/**
 * What the policy answers: the decision, as a schema and as the type that follows from it.
 *
 * Unknown keys make a decision invalid: a misspelt `limits` must not be no limit.
 */
import { DURATION_PATTERN, POSITIVE_DURATION_PATTERN } from './units.ts'

const duration = { type: 'string', pattern: DURATION_PATTERN } as const
const strings = { type: 'array', items: { type: 'string' } } as const
/** An HTTP field name, in any case. */
const headerName = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
/** No control characters: a policy must not be able to split a header. */
const headerValue = { type: 'string', pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$' } as const

const limit = {
  type: 'object',
  title: 'A quota that the gateway is to enforce',
  required: ['name', 'key', 'unit', 'limit'],
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9_.:-]{1,64}$',
      description: 'Shown to the caller in RateLimit headers',
    },
    key: {
      type: 'string',
      minLength: 1,
      maxLength: 512,
      description: 'Whose counter: a principal, a team, an address',
    },
    unit: { enum: ['requests', 'input_tokens', 'output_tokens', 'tokens', 'cost', 'concurrency'] },
    limit: { type: 'number', minimum: 0 },
    window: {
      type: 'string',
      anyOf: [
        { pattern: POSITIVE_DURATION_PATTERN },
        { enum: ['calendar_hour', 'calendar_day', 'calendar_week', 'calendar_month'] },
      ],
      description: 'Required but for concurrency, which has none',
    },
    timezone: { type: 'string', format: 'timezone', description: 'Of a calendar window; UTC unless told' },
    mode: { enum: ['enforce', 'observe'], description: 'observe counts without refusing' },
  },
  allOf: [
    {
      if: { properties: { unit: { const: 'concurrency' } } },
      // biome-ignore lint/suspicious/noThenProperty: a JSON Schema keyword
      then: { not: { required: ['window'] } },
      else: { required: ['window'] },
    },
  ],
} as const

export const decisionSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport decision',
  description: 'What the rule gateway/decision answers',
  type: 'object',
  required: ['allow'],
  additionalProperties: false,
  properties: {
    allow: { type: 'boolean' },
    rule: { type: 'string', maxLength: 128, description: 'The rule that decided' },
    reasons: { ...strings, description: 'For the audit record; a caller never sees them' },
    pool: { type: 'string' },
    pools: { ...strings, minItems: 1, description: 'The first that can serve is taken' },
    limits: { type: 'array', items: limit, maxItems: 32 },
    rewrite: {
      type: 'object',
      additionalProperties: false,
      properties: {
        model: { type: 'string', minLength: 1 },
        max_tokens: { type: 'integer', minimum: 1, description: 'A ceiling: it lowers, never raises' },
        headers: {
          type: 'object',
          additionalProperties: false,
          properties: {
            set: {
              type: 'object',
              propertyNames: { pattern: headerName },
              additionalProperties: headerValue,
            },
            remove: strings,
          },
        },
      },
    },
    audit: {
      type: 'object',
      additionalProperties: false,
      properties: {
        content: { enum: ['none', 'request', 'all'] },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
    priority: { type: 'integer' },
    recheck_every: {
      type: 'string',
      pattern: POSITIVE_DURATION_PATTERN,
      description: 'While the answer streams the policy is asked again; a refusal ends it',
    },
    expires_at: {
      type: 'string',
      format: 'date-time',
      description: 'A response still streaming then is ended',
    },
    grant: {
      type: 'string',
      description: 'The grant that this stands on; the gateway finds it out where it is not told',
    },
    status: { anyOf: [{ type: 'integer', minimum: 400, maximum: 499 }, { const: 503 }] },
    code: { type: 'string', pattern: '^[a-z][a-z0-9_]{0,63}$' },
    message: { type: 'string', description: 'Reaches the caller as it is' },
    retry_after: duration,
    access: {
      type: 'object',
      required: ['requestable'],
      additionalProperties: false,
      properties: {
        requestable: { type: 'boolean' },
        models: strings,
        roles: strings,
        max_duration: duration,
      },
    },
  },
} as const

export type Unit = 'requests' | 'input_tokens' | 'output_tokens' | 'tokens' | 'cost' | 'concurrency'

export interface Limit {
  readonly name: string
  readonly key: string
  readonly unit: Unit
  readonly limit: number
  /** A duration such as `1m`, or `calendar_day`. */
  readonly window?: string
  /** An IANA zone. */
  readonly timezone?: string
  readonly mode?: 'enforce' | 'observe'
}

export interface Rewrite {
  readonly model?: string
  readonly max_tokens?: number
  readonly headers?: {
    readonly set?: Readonly<Record<string, string>>
    readonly remove?: readonly string[]
  }
}

export type AuditContent = 'none' | 'request' | 'all'

export interface Decision {
  readonly allow: boolean
  readonly rule?: string
  readonly reasons?: readonly string[]
  readonly pool?: string
  readonly pools?: readonly string[]
  readonly limits?: readonly Limit[]
  readonly rewrite?: Rewrite
  readonly audit?: {
    readonly content?: AuditContent
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly priority?: number
  /** RFC 3339. */
  readonly expires_at?: string
  /** A duration. */
  readonly recheck_every?: string
  /** The id of the grant that it stands on. */
  readonly grant?: string
  readonly status?: number
  readonly code?: string
  readonly message?: string
  /** A duration. */
  readonly retry_after?: string
  readonly access?: {
    readonly requestable: boolean
    readonly models?: readonly string[]
    readonly roles?: readonly string[]
    readonly max_duration?: string
  }
}
