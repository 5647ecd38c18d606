/**
 * How limits stand, as headers: `RateLimit` and `RateLimit-Policy` (the IETF draft), and
 * `x-ratelimit-*` as OpenAI's clients read them.
 */

import type { EpochMs } from '../contract/units.ts'
import type { Window } from './counter.ts'
import type { Standing } from './ledger.ts'

/** @returns Names and values in turn; nothing when there are no limits. */
export function rateHeaders(standings: readonly Standing[], now: EpochMs): string[] {
  let limits = ''
  let policies = ''
  let isShare = false
  let requests: Standing | undefined
  let tokens: Standing | undefined
  for (const standing of standings) {
    const { claim } = standing
    if (claim.observe) continue
    const gap = limits && ', '
    limits += gap + rateLimit(standing, now)
    policies += gap + rateLimitPolicy(standing)
    isShare ||= standing.share === true
    if (claim.unit === 'requests') requests = tighter(standing, requests)
    else if (claim.unit !== 'cost' && claim.unit !== 'concurrency') tokens = tighter(standing, tokens)
  }
  if (limits === '') return []
  const list = ['ratelimit', limits, 'ratelimit-policy', policies]
  if (requests) pushTightest(list, REQUESTS, requests, now)
  if (tokens) pushTightest(list, TOKENS, tokens, now)
  // What is left is of this gateway's share, while it cannot ask the others.
  if (isShare) list.push('x-ratelimit-scope', 'gateway')
  return list
}

/** What OpenAI's clients know of. */
interface TightestNames {
  readonly limit: string
  readonly remaining: string
  readonly reset: string
}
const REQUESTS = namesOf('requests')
const TOKENS = namesOf('tokens')

function namesOf(kind: string): TightestNames {
  return {
    limit: `x-ratelimit-limit-${kind}`,
    remaining: `x-ratelimit-remaining-${kind}`,
    reset: `x-ratelimit-reset-${kind}`,
  }
}

function pushTightest(list: string[], names: TightestNames, standing: Standing, now: EpochMs): void {
  list.push(names.limit, String(Math.floor(standing.claim.limit)))
  list.push(names.remaining, String(standing.remaining))
  list.push(names.reset, `${secondsLeft(standing, now)}s`)
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

/** Of which less is left; of two alike, which takes longer to refill. */
function tighter(one: Standing, other: Standing | undefined): Standing {
  if (other === undefined) return one
  if (one.remaining !== other.remaining) return one.remaining < other.remaining ? one : other
  return (one.resetsAt ?? 0) > (other.resetsAt ?? 0) ? one : other
}

function secondsLeft({ resetsAt }: Standing, now: EpochMs): number {
  return resetsAt === undefined ? 0 : Math.max(0, Math.ceil((resetsAt - now) / 1000))
}
