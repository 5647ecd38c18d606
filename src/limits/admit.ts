/**
 * Admit: takes all limits of a decision together, or refuses with the headers that say when to
 * come back.
 */
import type { Limit } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import { CALENDAR_WINDOWS, type CalendarWindow } from './calendar.ts'
import type { Window } from './counter.ts'
import type { Amounts, Claim, Ledger, Reservation, Standing, Taking } from './ledger.ts'

/** A limit of the decision refused; `standings` are for the audit record. */
export class LimitRefusal extends GatewayError {
  constructor(
    readonly refusedBy: Standing,
    readonly standings: readonly Standing[],
    fitsAt: EpochMs | undefined,
    now: EpochMs,
  ) {
    const { claim } = refusedBy
    super(CODES[claim.unit], `the limit ${claim.name} of ${claim.key} is used up`, {
      title: `Limit ${claim.name}: ${claim.limit} ${claim.unit} ${per(claim.window)}`,
      retryAfterSeconds: fitsAt === undefined ? 1 : Math.max(1, Math.ceil((fitsAt - now) / 1000)),
    })
  }
}

const CODES = {
  requests: 'rate_limited',
  concurrency: 'rate_limited',
  input_tokens: 'quota_exceeded',
  output_tokens: 'quota_exceeded',
  tokens: 'quota_exceeded',
  cost: 'quota_exceeded',
} as const

function per(window: Window | undefined): string {
  if (window === undefined) return 'at a time'
  return 'ms' in window ? `per ${window.ms / 1000} s` : `per ${window.calendar} in ${window.zone}`
}

/** @throws LimitRefusal, or rejects with it; then nothing was spent. */
export function admit(
  claims: readonly Claim[],
  amounts: Amounts,
  now: EpochMs,
  ledger: Pick<Ledger, 'take'>,
): Reservation | Promise<Reservation> {
  const taking = ledger.take(claims, amounts, now)
  return taking instanceof Promise ? taking.then(granted) : granted(taking)

  function granted(taking: Taking): Reservation {
    if (taking.taken) return taking.reservation
    throw new LimitRefusal(taking.refusedBy, taking.standings, taking.fitsAt, now)
  }
}

/** The same decision is common, and its limits are the same list then. */
const known = new WeakMap<readonly Limit[], readonly Claim[]>()

/** A decision's limits, ready to be counted. */
export function claimsOf(limits: readonly Limit[]): readonly Claim[] {
  const before = known.get(limits)
  if (before) return before
  const claims = limits.map(limit => ({
    name: limit.name,
    key: limit.key,
    unit: limit.unit,
    limit: limit.limit,
    window: limit.window === undefined ? undefined : windowOf(limit.window, limit.timezone ?? 'UTC'),
    observe: limit.mode === 'observe',
  }))
  known.set(limits, claims)
  return claims
}

function windowOf(text: string, zone: string): Window {
  const calendar = CALENDAR_WINDOWS.find((name): name is CalendarWindow => name === text)
  return calendar === undefined ? { ms: Math.ceil(parseDuration(text)) } : { calendar, zone }
}
