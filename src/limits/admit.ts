/**
 * Admit: takes all limits of a decision together, or refuses with the headers that say when to
 * come back.
 */
import type { Limit } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import type { Claim, Ledger, Reservation, Standing } from './ledger.ts'
import { rateHeaders } from './rate-headers.ts'

/** A limit of the decision refused; `standings` are for the audit record. */
export class LimitRefusal extends GatewayError {
  constructor(
    readonly refusedBy: Standing,
    readonly standings: readonly Standing[],
    now: EpochMs,
  ) {
    const { claim, resetsAt } = refusedBy
    super('rate_limited', `the limit ${claim.name} of ${claim.key} is used up`, {
      title: `Limit ${claim.name}: ${claim.limit} ${claim.unit}${claim.windowMs === undefined ? ' at a time' : ` per ${claim.windowMs / 1000} s`}`,
      retryAfterSeconds: resetsAt === undefined ? 1 : Math.max(1, Math.ceil((resetsAt - now) / 1000)),
      headers: rateHeaders(standings, now),
    })
  }
}

/** @throws LimitRefusal; then nothing was spent. */
export function admit(claims: readonly Claim[], now: EpochMs, ledger: Pick<Ledger, 'take'>): Reservation {
  const taking = ledger.take(claims, now)
  if (!taking.taken) throw new LimitRefusal(taking.refusedBy, taking.standings, now)
  return taking.reservation
}

/** A decision's limits, ready to be counted. */
export function claimsOf(limits: readonly Limit[]): Claim[] {
  return limits.map(limit => ({
    name: limit.name,
    key: limit.key,
    unit: limit.unit,
    limit: limit.limit,
    windowMs: limit.window === undefined ? undefined : parseDuration(limit.window),
    observe: limit.mode === 'observe',
  }))
}
