/** `pools`: which servers serve which models, and how they are used. */
import { duration, section, string, strings } from './words.ts'

const target = section(
  'One upstream server',
  {
    url: {
      type: 'string',
      pattern: '^https?://[^\\s?#]+$',
      description: "The server's root; the request's path is appended",
    },
    kind: { enum: ['openai'], default: 'openai' },
    weight: { type: 'number', exclusiveMinimum: 0, default: 1 },
    apiKey: { ...string, description: "The target's own credential, sent as Authorization: Bearer" },
    headers: { type: 'object', additionalProperties: { type: 'string' }, default: {} },
  },
  { required: ['url'] },
)

const pool = section(
  'Targets that serve the same models',
  {
    models: { ...strings, minItems: 1, uniqueItems: true },
    targets: { type: 'array', items: target, minItems: 1 },
    balance: { enum: ['least_in_flight'], default: 'least_in_flight' },
    forwardHeaders: {
      ...strings,
      description: 'Request headers that go upstream besides the usual ones',
      default: [],
    },
    upstreamErrors: {
      enum: ['replace', 'pass'],
      description: "Whether a target's 5xx answer reaches the client as it is",
      default: 'replace',
    },
    timeouts: section('How long each part of an upstream call may take', {
      connect: duration('2s'),
      firstByte: duration('120s'),
      idle: duration('60s'),
      total: duration('15m'),
    }),
  },
  { required: ['models', 'targets'] },
)

export const pools = {
  type: 'object',
  description: 'Pools of targets, by name',
  minProperties: 1,
  propertyNames: { pattern: '^[A-Za-z0-9_.-]{1,64}$' },
  additionalProperties: pool,
}

export interface TargetConfig {
  readonly url: string
  readonly kind: 'openai'
  readonly weight: number
  readonly apiKey?: string
  readonly headers: Readonly<Record<string, string>>
}

export interface PoolConfig {
  readonly models: readonly string[]
  readonly targets: readonly TargetConfig[]
  readonly balance: 'least_in_flight'
  readonly forwardHeaders: readonly string[]
  readonly upstreamErrors: 'replace' | 'pass'
  readonly timeouts: {
    readonly connect: string
    readonly firstByte: string
    readonly idle: string
    readonly total: string
  }
}
