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
  const shown = standings.filter(standing => !standing.claim.observe)
  if (shown.length === 0) return {}
  const headers: Record<string, string> = {
    ratelimit: shown.map(standing => rateLimit(standing, now)).join(', '),
    'ratelimit-policy': shown.map(rateLimitPolicy).join(', '),
  }
  for (const [kind, units] of Object.entries(KINDS)) {
    const tightest = tightestOf(shown.filter(({ claim }) => units.includes(claim.unit)))
    if (!tightest) continue
    headers[`x-ratelimit-limit-${kind}`] = String(Math.floor(tightest.claim.limit))
    headers[`x-ratelimit-remaining-${kind}`] = String(tightest.remaining)
    headers[`x-ratelimit-reset-${kind}`] = `${secondsLeft(tightest, now)}s`
  }
  // What is left is of this gateway's share, while it cannot ask the others.
  if (shown.some(({ share }) => share)) headers['x-ratelimit-scope'] = 'gateway'
  return headers
}

/** What OpenAI's clients know of. */
const KINDS: Readonly<Record<string, readonly Unit[]>> = {
  requests: ['requests'],
  tokens: ['tokens', 'input_tokens', 'output_tokens'],
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

/** The one of which least is left; of two alike, the one that takes longer to refill. */
function tightestOf(standings: readonly Standing[]): Standing | undefined {
  return [...standings].sort((a, b) => a.remaining - b.remaining || (b.resetsAt ?? 0) - (a.resetsAt ?? 0))[0]
}

function secondsLeft({ resetsAt }: Standing, now: EpochMs): number {
  return resetsAt === undefined ? 0 : Math.max(0, Math.ceil((resetsAt - now) / 1000))
}
