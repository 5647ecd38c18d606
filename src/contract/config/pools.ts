/** `pools`: which servers serve which models, and how they are used. */
import { duration, section, size, string, strings } from './words.ts'

const whole = (minimum: number, fallback: number) => ({
  type: 'integer' as const,
  minimum,
  default: fallback,
})

const target = section(
  'One upstream server',
  {
    url: {
      type: 'string',
      pattern: '^https?://[^\\s?#]+$',
      description: "The server's root; the request's path is appended",
    },
    kind: {
      enum: ['openai', 'llama.cpp', 'llamacpp', 'ollama', 'vllm'],
      description: 'What it tells of itself, and where; openai tells nothing',
      default: 'openai',
    },
    weight: { type: 'number', exclusiveMinimum: 0, default: 1 },
    slots: {
      type: 'integer',
      minimum: 1,
      description: 'How many requests it works on at a time; else what llama.cpp tells, else no limit',
    },
    apiKey: { ...string, description: "The target's own credential, sent as Authorization: Bearer" },
    headers: { type: 'object', additionalProperties: { type: 'string' }, default: {} },
    tls: section(
      'How an https target is known, and the gateway to it',
      {
        caFile: {
          ...string,
          description: 'Who may have signed its certificate; else the public authorities',
        },
        certFile: { ...string, description: "The gateway's own certificate" },
        keyFile: string,
        serverName: { ...string, description: 'The name in its certificate, where that is not the host' },
      },
      { optional: true },
    ),
  },
  { required: ['url'] },
)

const pool = section(
  'Targets that serve the same models',
  {
    models: { ...strings, minItems: 1, uniqueItems: true },
    targets: { type: 'array', items: target, minItems: 1 },
    balance: {
      enum: ['least_in_flight', 'weighted', 'round_robin', 'latency', 'prefix'],
      default: 'least_in_flight',
    },
    prefix: section('Which requests belong together, where the balance is prefix', {
      characters: {
        ...whole(1, 4096),
        description: 'How much counts of what comes before the first answer: instructions, first question',
      },
    }),
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
    health: {
      ...section('How targets are asked whether they are well; false: they are not asked', {
        path: {
          type: 'string',
          pattern: '^/[^\\s#]*$',
          description: 'A path such as /health',
          default: '/health',
        },
        interval: duration('5s'),
        timeout: duration('2s'),
        healthyAfter: whole(1, 2),
        unhealthyAfter: whole(1, 3),
      }),
      type: ['object', 'boolean'],
      not: { const: true },
    },
    timeouts: section('How long each part of an upstream call may take', {
      connect: duration('2s'),
      firstByte: duration('120s'),
      idle: duration('60s'),
      total: duration('15m'),
    }),
    retry: section('When a request is sent to another target', {
      attempts: { ...whole(0, 2), description: 'How often, after the first time' },
      budget: {
        type: 'number',
        minimum: 0,
        maximum: 1,
        description: 'Of the live traffic, so much may be retries',
        default: 0.2,
      },
    }),
    breaker: section('When a target that fails is left alone', {
      failures: { ...whole(1, 5), description: 'In a row' },
      openFor: duration('10s'),
    }),
    queue: section('Where requests wait while all slots are taken', {
      max: whole(0, 100),
      timeout: duration('30s'),
    }),
    answer: section('Caps on one answer; there are none unless told', {
      maxBytes: size(),
      maxDuration: duration(),
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

export type TargetKind = 'openai' | 'llama.cpp' | 'ollama' | 'vllm'

export type BalanceName = 'least_in_flight' | 'weighted' | 'round_robin' | 'latency' | 'prefix'

export interface TargetConfig {
  readonly url: string
  /** `llamacpp` is another way to write `llama.cpp`. */
  readonly kind: TargetKind | 'llamacpp'
  readonly weight: number
  readonly slots?: number
  readonly apiKey?: string
  readonly headers: Readonly<Record<string, string>>
  readonly tls?: TargetTlsConfig
}

export interface TargetTlsConfig {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  readonly serverName?: string
}

export interface HealthConfig {
  readonly path: string
  readonly interval: string
  readonly timeout: string
  readonly healthyAfter: number
  readonly unhealthyAfter: number
}

export interface PoolConfig {
  readonly models: readonly string[]
  readonly targets: readonly TargetConfig[]
  readonly balance: BalanceName
  readonly prefix: { readonly characters: number }
  readonly forwardHeaders: readonly string[]
  readonly upstreamErrors: 'replace' | 'pass'
  readonly health: false | HealthConfig
  readonly timeouts: {
    readonly connect: string
    readonly firstByte: string
    readonly idle: string
    readonly total: string
  }
  readonly retry: { readonly attempts: number; readonly budget: number }
  readonly breaker: { readonly failures: number; readonly openFor: string }
  readonly queue: { readonly max: number; readonly timeout: string }
  readonly answer: { readonly maxBytes?: string; readonly maxDuration?: string }
}
