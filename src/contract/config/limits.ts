/** `limits` and `pricing`: what is refused, and what is counted. */
import { count, duration, section, size } from './words.ts'

export const limits = section('What is refused before a policy is asked', {
  body: size('1MiB'),
  headers: size('16KiB'),
  connections: { ...count, default: 10000 },
  connectionsPerAddress: { ...count, default: 1000 },
  unauthenticated: {
    description: 'Failed attempts per address; over it, what is not cheap to know good is 429',
    anyOf: [
      { const: false },
      {
        type: 'object',
        additionalProperties: false,
        required: ['limit', 'window'],
        properties: { limit: count, window: duration() },
      },
    ],
    default: { limit: 300, window: '1m' },
  },
})

export const pricing = {
  type: 'object',
  description: 'What a million tokens of a model cost',
  default: {},
  additionalProperties: {
    type: 'object',
    additionalProperties: false,
    required: ['input', 'output'],
    properties: { input: { type: 'number', minimum: 0 }, output: { type: 'number', minimum: 0 } },
  },
}

export interface LimitsConfig {
  readonly body: string
  readonly headers: string
  readonly connections: number
  readonly connectionsPerAddress: number
  readonly unauthenticated: false | { readonly limit: number; readonly window: string }
}

export type PricingConfig = Readonly<Record<string, { readonly input: number; readonly output: number }>>
