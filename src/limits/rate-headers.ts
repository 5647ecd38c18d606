/**
 * How limits stand, as headers: `RateLimit` and `RateLimit-Policy` (the IETF draft), and
 * `x-ratelimit-*` as OpenAI's clients read them.
 */

import type { Unit } from '../contract/decision.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Window } from './counter.ts'
import type { Standing } from './ledger.ts'

/** @returns No headers when there are no limits. */
export function rateHeaders(standings: readonly Standing[], now: EpochMs): Record<string, string> {
  const tightest: Partial<Record<Kind, Standing>> = {}
  let limits = ''
  let policies = ''
  let isShare = false
  for (const standing of standings) {
    const { claim } = standing
    if (claim.observe) continue
    const gap = limits && ', '
    limits += gap + rateLimit(standing, now)
    policies += gap + rateLimitPolicy(standing)
    isShare ||= standing.share === true
    const kind = KIND_OF[claim.unit]
    if (kind && isTighter(standing, tightest[kind])) tightest[kind] = standing
  }
  if (limits === '') return {}
  const headers: Record<string, string> = { ratelimit: limits, 'ratelimit-policy': policies }
  for (const kind of KINDS) {
    const standing = tightest[kind]
    if (!standing) continue
    headers[`x-ratelimit-limit-${kind}`] = String(Math.floor(standing.claim.limit))
    headers[`x-ratelimit-remaining-${kind}`] = String(standing.remaining)
    headers[`x-ratelimit-reset-${kind}`] = `${secondsLeft(standing, now)}s`
  }
  // What is left is of this gateway's share, while it cannot ask the others.
  if (isShare) headers['x-ratelimit-scope'] = 'gateway'
  return headers
}

/** What OpenAI's clients know of. */
const KINDS = ['requests', 'tokens'] as const
type Kind = (typeof KINDS)[number]

const KIND_OF: Readonly<Partial<Record<Unit, Kind>>> = {
  requests: 'requests',
  tokens: 'tokens',
  input_tokens: 'tokens',
  output_tokens: 'tokens',
}

function rateLimit(standing: Standing, now: EpochMs): string {
  const reset = standing.resetsAt === undefined ? '' : `;t=${secondsLeft(standing, now)}`
  return `"${standing.claim.name}";r=${Math.floor(standing.remaining)}${reset}`
}

function rateLimitPolicy({ claim }: Standing): string {
  const seconds = claim.window && Math.ceil(lengthOf(claim.window) / 1000)
  return `"${claim.name}";q=${Math.floor(claim.limit)}${seconds === undefined ? '' : `;w=${seconds}`}`
}

/** Of a part of the calendar the usual length, ms: for a reader of headers, not for counting. */
function lengthOf(window: Window): number {
  return 'ms' in window ? window.ms : USUAL_MS[window.calendar]
}

const DAY_MS = 86_400_000
const USUAL_MS = {
  calendar_hour: DAY_MS / 24,
  calendar_day: DAY_MS,
  calendar_week: 7 * DAY_MS,
  calendar_month: 30 * DAY_MS,
} as const

/** Less is left of it; of two alike, it takes longer to refill. */
function isTighter(one: Standing, other: Standing | undefined): boolean {
  if (other === undefined) return true
  if (one.remaining !== other.remaining) return one.remaining < other.remaining
  return (one.resetsAt ?? 0) > (other.resetsAt ?? 0)
}

function secondsLeft({ resetsAt }: Standing, now: EpochMs): number {
  return resetsAt === undefined ? 0 : Math.max(0, Math.ceil((resetsAt - now) / 1000))
}
