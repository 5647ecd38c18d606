/**
 * What a receiver of announcements is sent: the form it reads, and the headers by which it knows who
 * sent it, as https://www.standardwebhooks.com has them: an id that stays the same when it is sent
 * again, the time of sending, and an HMAC over both and the body.
 */
import { createHmac } from 'node:crypto'
import type { WebhookConfig } from '../contract/config/access.ts'
import type { EpochMs } from '../contract/units.ts'

export interface Announcement {
  readonly type: string
  /** RFC 3339: when it happened. */
  readonly timestamp: string
  readonly data: Readonly<Record<string, unknown>>
}

export function bodyOf(announcement: Announcement, format: WebhookConfig['format']): string {
  if (format === 'json') return JSON.stringify(announcement)
  const text = inWords(announcement)
  if (format === 'slack') return JSON.stringify({ text: forSlack(text) })
  return JSON.stringify({
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body: [{ type: 'TextBlock', text: forTeams(text), wrap: true }],
        },
      },
    ],
  })
}

/** @param secret - `whsec_` and base64, or any text. */
export function signedHeaders(
  id: string,
  at: EpochMs,
  body: string,
  secret: string | undefined,
): Record<string, string> {
  const seconds = Math.floor(at / 1000)
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${seconds}` }
  if (secret === undefined) return headers
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${signature}` }
}

const DEEDS: Readonly<Record<string, string>> = {
  'access.requested': 'asks for',
  'access.approved': 'approved',
  'access.denied': 'denied',
  'access.used': 'uses',
  'access.expired': 'has no longer',
  'access.revoked': 'revoked',
  'access.returned': 'gave back',
}

function inWords({ type, data }: Announcement): string {
  const { id } = data.principal as { id: string }
  const what = [...(data.models as string[]), ...(data.roles as string[])].join(', ')
  const by = typeof data.by === 'string' ? data.by : id
  const whose = by === id ? '' : ` for ${id}`
  const facts = [
    data.ticket,
    data.reason,
    data.comment && `“${data.comment}”`,
    data.expires_at && `until ${data.expires_at}`,
    data.grant ?? data.access_request,
  ]
  const glass = data.emergency ? 'EMERGENCY: ' : ''
  return `${glass}${by} ${DEEDS[type] ?? type} ${what}${whose} for ${data.duration} (${facts.filter(Boolean).join('; ')})`
}

/** Nobody's reason is a mention of a whole channel, or a link. */
function forSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function forTeams(text: string): string {
  return text.replace(/[\\`*_[\]()<>#~|]/g, '\\$&')
}
