/**
 * Just-in-time access: what the rule `gateway/access` answers, and what a caller asks for, as
 * schemas and as types.
 */
import { type EpochMs, POSITIVE_DURATION_PATTERN } from './units.ts'

const duration = { type: 'string', pattern: POSITIVE_DURATION_PATTERN } as const
const count = { type: 'integer', minimum: 1 } as const
const strings = { type: 'array', items: { type: 'string' } } as const

export const accessSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Sallyport access',
  description: 'What the rule gateway/access answers when access is asked for, and at each approval',
  type: 'object',
  required: ['outcome'],
  additionalProperties: false,
  properties: {
    outcome: {
      enum: ['approve', 'ask', 'deny'],
      description: 'approve: on the word of the policy alone; ask: when enough approvers say so',
    },
    approvals: { ...count, maximum: 20, description: 'How many must approve; 1 unless told' },
    approvers: {
      type: 'object',
      additionalProperties: false,
      properties: { roles: strings, ids: strings },
      description: 'Who may approve, deny and revoke: holders of one of the roles, or one of the ids',
    },
    self_approval: {
      type: 'boolean',
      description: 'Whether who asks may be one of the approvers; not unless this is true',
    },
    max_duration: { ...duration, description: 'What is asked for longer is refused' },
    pending_for: { ...duration, description: 'How long a request may wait; 1h unless told' },
    max_uses: { ...count, description: 'How many requests the grant is good for' },
    max_tokens: { ...count, description: 'How many tokens, of prompts and answers, it is good for' },
    message: { type: 'string', description: 'Reaches the caller as it is' },
  },
} as const

export interface AccessVerdict {
  readonly outcome: 'approve' | 'ask' | 'deny'
  readonly approvals?: number
  readonly approvers?: { readonly roles?: readonly string[]; readonly ids?: readonly string[] }
  readonly self_approval?: boolean
  /** Durations. */
  readonly max_duration?: string
  readonly pending_for?: string
  readonly max_uses?: number
  readonly max_tokens?: number
  readonly message?: string
}

const names = {
  type: 'array',
  items: { type: 'string', minLength: 1, maxLength: 256 },
  maxItems: 50,
} as const

/** The body of `POST /-/access/requests`. */
export const accessRequestSchema = {
  type: 'object',
  required: ['duration', 'reason'],
  additionalProperties: false,
  properties: {
    models: names,
    roles: names,
    duration: { type: 'string', pattern: POSITIVE_DURATION_PATTERN },
    reason: { type: 'string', minLength: 1, maxLength: 2000 },
    ticket: { anyOf: [{ type: 'string', maxLength: 256 }, { type: 'null' }] },
    emergency: { type: 'boolean' },
    token: { type: 'boolean' },
    not_before: { anyOf: [{ type: 'string', format: 'date-time' }, { type: 'null' }] },
  },
} as const

export interface AccessRequestBody {
  readonly models?: readonly string[]
  readonly roles?: readonly string[]
  readonly duration: string
  readonly reason: string
  readonly ticket?: string | null
  readonly emergency?: boolean
  readonly token?: boolean
  /** RFC 3339. */
  readonly not_before?: string | null
}

/** The body of an approval, a denial, a revocation. */
export const commentSchema = {
  type: 'object',
  additionalProperties: false,
  properties: { comment: { type: 'string', maxLength: 2000 } },
} as const

/** A grant as the policy sees it: one that is in force. */
export interface GrantFacts {
  readonly id: string
  readonly models: readonly string[]
  readonly roles: readonly string[]
  /** RFC 3339, with milliseconds, in UTC. */
  readonly expires_at: string
  /** Null: the policy alone. Several ids are joined with `, `. */
  readonly approved_by: string | null
  readonly reason: string
  /** Only of a grant that broke the glass. */
  readonly emergency?: true
}

/** A grant, as far as a request that stands on it needs to know. */
export interface ActiveGrant {
  readonly facts: GrantFacts
  readonly startsAt: EpochMs
  readonly expiresAt: EpochMs
  readonly maxUses: number | undefined
  readonly maxTokens: number | undefined
  /** Some request stood on it before. */
  readonly used: boolean
}
