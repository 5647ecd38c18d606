/**
 * Ledger: what has been spent, by limit, window and key; and the one of a gateway that shares it
 * with nobody, in memory.
 *
 * Outlives every revision: a policy edit must not refill a budget. All limits of one decision are
 * taken together or not at all, in one synchronous step, so nothing can come between the check
 * and the charge. That, refunds, calendar windows and being handed its clock are why this is not
 * `rate-limiter-flexible`: its memory limiter answers by promise, charges what it refuses, starts a
 * window at its first request, and reads the clock itself.
 */
import { DUST } from '../contract/counters.ts'
import type { Unit } from '../contract/decision.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import { type CalendarWindow, calendarWindow } from './calendar.ts'

/** One limit of a decision, ready to be counted. */
export interface Claim {
  readonly name: string
  readonly key: string
  readonly unit: Unit
  readonly limit: number
  /** Undefined for concurrency, which has none. */
  readonly window: Window | undefined
  /** Counts without refusing. */
  readonly observe: boolean
}

/** A length in milliseconds that begins with the first request, or a part of the calendar. */
export type Window = { readonly ms: number } | { readonly calendar: CalendarWindow; readonly zone: string }

/** What a request takes of each unit. */
export type Amounts = Readonly<Record<Unit, number>>

/** How a limit stands after a request was counted, or refused. */
export interface Standing {
  readonly claim: Claim
  /** Never below 0. */
  readonly remaining: number
  readonly resetsAt: EpochMs | undefined
  /** The store is away, and the limit is this gateway's share of it. */
  readonly share?: true
}

export interface Reservation {
  readonly standings: readonly Standing[]
  /**
   * Charges what was really used in place of what was reserved, and ends what is held while a
   * request runs. The first call counts; any other, of this or of `giveBack`, changes nothing.
   */
  settle(used: Amounts): void
  /** Undoes the reservation whole, for a request that had no effect. */
  giveBack(): void
}

export type Taking =
  | { readonly taken: true; readonly reservation: Reservation }
  | { readonly taken: false; readonly refusedBy: Standing; readonly standings: readonly Standing[] }

/** Answers at once where it can, and by promise only where it must ask over a network. */
export interface Ledger {
  /** @throws GatewayError `overloaded` when the store that it is kept in does not answer. */
  take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking | Promise<Taking>
  /** How the limits stand, spending nothing. @throws as `take` */
  look(claims: readonly Claim[], now: EpochMs): readonly Standing[] | Promise<readonly Standing[]>
}

export interface MemoryLedger extends Ledger {
  take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking
  look(claims: readonly Claim[], now: EpochMs): readonly Standing[]
  /** Counters held in memory. */
  size(): number
}

interface Counter {
  used: number
  /** Infinity where there is no window. */
  readonly endsAt: EpochMs
}

/** Expired counters are looked for once in so many takings. */
const SWEEP_EVERY = 4096

export function createLedger(): MemoryLedger {
  const counters = new Map<string, Counter>()
  let untilSweep = SWEEP_EVERY

  function counterOf(claim: Claim, now: EpochMs): Counter {
    const name = nameOf(claim)
    const known = counters.get(name)
    if (known && now < known.endsAt) return known
    const counter = { used: 0, endsAt: endOf(claim.window, now) }
    counters.set(name, counter)
    return counter
  }

  function take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking {
    if (--untilSweep <= 0) sweep(now)
    const taken = new Map<Counter, Claim>()
    for (const claim of claims) {
      const counter = counterOf(claim, now)
      // A counter that one decision names twice is charged once, and both its limits hold.
      const amount = taken.has(counter) ? 0 : amounts[claim.unit]
      if (!claim.observe && counter.used + amount > claim.limit + DUST) {
        const refusedBy = standing(claim, counter)
        for (const [counter, claim] of taken) put(claim, counter, -amounts[claim.unit])
        dropIfEmpty(claim, counter)
        return { taken: false, refusedBy, standings: look(claims, now) }
      }
      counter.used += amount
      if (!taken.has(counter)) taken.set(counter, claim)
    }
    const standings = claims.map(claim => standing(claim, counterOf(claim, now)))
    return { taken: true, reservation: reservationOf(taken, amounts, standings) }
  }

  function reservationOf(
    taken: ReadonlyMap<Counter, Claim>,
    reserved: Amounts,
    standings: readonly Standing[],
  ): Reservation {
    let held = true
    const settle = (used: Amounts): void => {
      if (!held) return
      held = false
      for (const [counter, claim] of taken) put(claim, counter, used[claim.unit] - reserved[claim.unit])
    }
    return { standings, settle, giveBack: () => settle(NOTHING) }
  }

  /** Corrects the counter that was charged, even if its window has ended since. */
  function put(claim: Claim, counter: Counter, difference: number): void {
    counter.used += difference
    if (counter.used < DUST) counter.used = 0
    dropIfEmpty(claim, counter)
  }

  /** An empty counter is as good as none, but for a window that began with the first request. */
  function dropIfEmpty(claim: Claim, counter: Counter): void {
    const name = nameOf(claim)
    if (counter.used === 0 && counters.get(name) === counter) counters.delete(name)
  }

  function look(claims: readonly Claim[], now: EpochMs): readonly Standing[] {
    return claims.map(claim => {
      const counter = counters.get(nameOf(claim))
      return standing(claim, counter && now < counter.endsAt ? counter : undefined)
    })
  }

  function sweep(now: EpochMs): void {
    untilSweep = SWEEP_EVERY
    for (const [name, counter] of counters) if (now >= counter.endsAt) counters.delete(name)
  }

  return { take, look, size: () => counters.size }
}

/** What is taken of nothing. */
export const NOTHING: Amounts = {
  requests: 0,
  input_tokens: 0,
  output_tokens: 0,
  tokens: 0,
  cost: 0,
  concurrency: 0,
}

/** When a window ends that begins now; Infinity where there is none. */
export function endOf(window: Window | undefined, now: EpochMs): EpochMs {
  if (window === undefined) return Number.POSITIVE_INFINITY
  return 'ms' in window ? now + window.ms : calendarWindow(now, window.calendar, window.zone).until
}

export function standing(
  claim: Claim,
  counter: { readonly used: number; readonly endsAt: EpochMs } | undefined,
): Standing {
  const resetsAt = counter && Number.isFinite(counter.endsAt) ? counter.endsAt : undefined
  const left = Math.max(0, claim.limit - (counter?.used ?? 0))
  return {
    claim,
    remaining: claim.unit === 'cost' ? Math.round(left * 1e6) / 1e6 : Math.floor(left),
    resetsAt,
  }
}

/** `limit` is compared and not part of the name, so raising or lowering it counts at once. */
export function nameOf({ name, unit, window, key }: Claim): string {
  return `${name}\n${unit}\n${window === undefined ? '' : 'ms' in window ? window.ms : `${window.calendar} ${window.zone}`}\n${key}`
}
