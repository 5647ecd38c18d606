/** `access`: who is told of what is asked for and granted. */
import { section } from './words.ts'

export const ACCESS_EVENTS = [
  'access.requested',
  'access.approved',
  'access.denied',
  'access.used',
  'access.expired',
  'access.revoked',
  'access.returned',
] as const

export type AccessEventName = (typeof ACCESS_EVENTS)[number]

const webhook = section(
  'A receiver of signed announcements',
  {
    url: { type: 'string', pattern: '^https?://', description: 'A URL: https, or http on loopback' },
    secret: {
      type: 'string',
      minLength: 16,
      description:
        'Signs each announcement; whsec_… is base64 (Standard Webhooks), all else is taken as it is',
    },
    events: {
      type: 'array',
      items: { enum: ACCESS_EVENTS },
      minItems: 1,
      default: [...ACCESS_EVENTS],
    },
    format: { enum: ['json', 'slack', 'teams'], default: 'json' },
  },
  { required: ['url'] },
)

export const access = section('Just-in-time access', {
  webhooks: { type: 'array', items: webhook, maxItems: 20, default: [] },
})

export interface WebhookConfig {
  readonly url: string
  readonly secret?: string
  readonly events: readonly AccessEventName[]
  readonly format: 'json' | 'slack' | 'teams'
}

export interface AccessConfig {
  readonly webhooks: readonly WebhookConfig[]
}
