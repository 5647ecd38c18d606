/**
 * How limits stand, as headers: `RateLimit` and `RateLimit-Policy` (the IETF draft), and
 * `x-ratelimit-*` as OpenAI's clients read them.
 */
import type { EpochMs } from '../contract/units.ts'
import type { Standing } from './ledger.ts'

/** @returns No headers when there are no limits. */
export function rateHeaders(standings: readonly Standing[], now: EpochMs): Record<string, string> {
  const shown = standings.filter(standing => !standing.claim.observe)
  if (shown.length === 0) return {}
  const headers: Record<string, string> = {
    ratelimit: shown.map(standing => rateLimit(standing, now)).join(', '),
    'ratelimit-policy': shown.map(rateLimitPolicy).join(', '),
  }
  const tightest = tightestOf(shown)
  if (tightest) {
    headers['x-ratelimit-limit-requests'] = String(Math.floor(tightest.claim.limit))
    headers['x-ratelimit-remaining-requests'] = String(tightest.remaining)
    headers['x-ratelimit-reset-requests'] = `${secondsLeft(tightest, now)}s`
  }
  return headers
}

function rateLimit(standing: Standing, now: EpochMs): string {
  const reset = standing.resetsAt === undefined ? '' : `;t=${secondsLeft(standing, now)}`
  return `"${standing.claim.name}";r=${standing.remaining}${reset}`
}

function rateLimitPolicy({ claim }: Standing): string {
  const window = claim.windowMs === undefined ? '' : `;w=${Math.ceil(claim.windowMs / 1000)}`
  return `"${claim.name}";q=${Math.floor(claim.limit)}${window}`
}

/** The one of which least is left; of two alike, the one that takes longer to refill. */
function tightestOf(standings: readonly Standing[]): Standing | undefined {
  return standings
    .filter(standing => standing.claim.unit === 'requests')
    .sort((a, b) => a.remaining - b.remaining || (b.resetsAt ?? 0) - (a.resetsAt ?? 0))[0]
}

function secondsLeft({ resetsAt }: Standing, now: EpochMs): number {
  return resetsAt === undefined ? 0 : Math.max(0, Math.ceil((resetsAt - now) / 1000))
}
