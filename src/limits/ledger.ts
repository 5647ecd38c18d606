/**
 * Ledger: what has been spent, by limit, window and key; and the one of a gateway that shares it
 * with nobody, in memory.
 *
 * Outlives every revision: a policy edit must not refill a budget. All limits of one decision are
 * taken together or not at all, in one synchronous step, so nothing can come between the check
 * and the charge. That, refunds, windows that roll or follow the calendar, and being handed its clock
 * are why this is not `rate-limiter-flexible`: its memory limiter answers by promise, charges what it
 * refuses, starts a window at its first request, so that twice a limit may pass around its end, and
 * reads the clock itself.
 */
import { DUST } from '../contract/counters.ts'
import type { Unit } from '../contract/decision.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import { Counter, type Slot, type Window } from './counter.ts'

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

/** What a request takes of each unit. */
export type Amounts = Readonly<Record<Unit, number>>

/** How a limit stands after a request was counted, or refused. */
export interface Standing {
  readonly claim: Claim
  /** Never below 0. */
  readonly remaining: number
  /** When nothing of it is used any more, if nothing else comes. */
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
  | {
      readonly taken: false
      readonly refusedBy: Standing
      readonly standings: readonly Standing[]
      /** When the request would fit if nothing else came; undefined where nobody can tell. */
      readonly fitsAt: EpochMs | undefined
    }

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
  /** What a counter holds, by its name. */
  used(name: string, now: EpochMs): number
  /** Counters held in memory. */
  size(): number
}

/** Counters that hold nothing any more are looked for once in so many takings. */
const SWEEP_EVERY = 4096

export function createLedger(): MemoryLedger {
  const counters = new Map<string, Counter>()
  let untilSweep = SWEEP_EVERY

  function take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking {
    if (--untilSweep <= 0) sweep(now)
    const found = claims.map(known)
    const excesses = claims.map((claim, index) => excessOf(claim, found[index], amounts, now))
    const refusedBy = excesses.findIndex(excess => excess > DUST)
    if (refusedBy >= 0) {
      const standings = standingsOf(claims, found, now)
      return {
        taken: false,
        refusedBy: standings[refusedBy] as Standing,
        standings,
        fitsAt: fitsAt(claims, found, excesses, now),
      }
    }
    const charges = chargesOf(claims, found, amounts, now)
    return { taken: true, reservation: reservationOf(charges, amounts, standingsOf(claims, found, now)) }
  }

  function known(claim: Claim): Counter | undefined {
    return counters.get(nameOf(claim))
  }

  function chargesOf(
    claims: readonly Claim[],
    found: (Counter | undefined)[],
    amounts: Amounts,
    now: EpochMs,
  ): Charged[] {
    const charges: Charged[] = []
    for (const [index, claim] of claims.entries()) {
      const counter = found[index] ?? counterOf(claim)
      found[index] = counter
      // A counter that one decision names twice is charged once, and both its limits hold.
      if (charges.some(charge => charge.counter === counter)) continue
      charges.push({ counter, unit: claim.unit, slot: counter.charge(amounts[claim.unit], now) })
    }
    return charges
  }

  function counterOf(claim: Claim): Counter {
    const name = nameOf(claim)
    const counter = counters.get(name) ?? new Counter(name, claim.window)
    counters.set(name, counter)
    return counter
  }

  function reservationOf(
    charges: readonly Charged[],
    reserved: Amounts,
    standings: readonly Standing[],
  ): Reservation {
    let held = true
    const settle = (used: Amounts): void => {
      if (!held) return
      held = false
      for (const { counter, unit, slot } of charges) {
        const difference = used[unit] - reserved[unit]
        if (difference !== 0) counter.correct(slot, difference)
        // What runs is held by itself; a window is swept once it is over.
        if (slot.endsAt === Number.POSITIVE_INFINITY) dropIfEmpty(counter)
      }
    }
    return { standings, settle, giveBack: () => settle(NOTHING) }
  }

  function dropIfEmpty(counter: Counter): void {
    if (counter.isOver(0) && counters.get(counter.name) === counter) counters.delete(counter.name)
  }

  function sweep(now: EpochMs): void {
    untilSweep = SWEEP_EVERY
    for (const [name, counter] of counters) if (counter.isOver(now)) counters.delete(name)
  }

  return {
    take,
    look: (claims, now) => standingsOf(claims, claims.map(known), now),
    used: (name, now) => counters.get(name)?.usedAt(now) ?? 0,
    size: () => counters.size,
  }
}

/** What a request was charged, and where. */
interface Charged {
  readonly counter: Counter
  readonly unit: Unit
  readonly slot: Slot
}

/** How much too much it would be. */
function excessOf(claim: Claim, counter: Counter | undefined, amounts: Amounts, now: EpochMs): number {
  return claim.observe ? 0 : (counter?.usedAt(now) ?? 0) + amounts[claim.unit] - claim.limit
}

/** When all that refuse have room. */
function fitsAt(
  claims: readonly Claim[],
  found: readonly (Counter | undefined)[],
  excesses: readonly number[],
  now: EpochMs,
): EpochMs | undefined {
  const times = claims.flatMap((claim, index) => {
    const excess = excesses[index] as number
    return excess > DUST ? ((found[index] ?? new Counter('', claim.window)).fitsAt(excess, now) ?? []) : []
  })
  return times.length > 0 ? Math.max(...times) : undefined
}

function standingsOf(
  claims: readonly Claim[],
  found: readonly (Counter | undefined)[],
  now: EpochMs,
): readonly Standing[] {
  return claims.map((claim, index) => {
    const counter = found[index] ?? new Counter('', claim.window)
    return standing(claim, { used: counter.usedAt(now), endsAt: counter.endsAt(now) })
  })
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

export function standing(
  claim: Claim,
  { used, endsAt }: { readonly used: number; readonly endsAt: EpochMs | undefined },
): Standing {
  const left = Math.max(0, claim.limit - used)
  const remaining = claim.unit === 'cost' ? Math.round(left * 1e6) / 1e6 : Math.floor(left)
  return { claim, remaining, resetsAt: endsAt }
}

const names = new WeakMap<Claim, string>()

/** `limit` is compared and not part of the name, so raising or lowering it counts at once. */
export function nameOf(claim: Claim): string {
  const known = names.get(claim)
  if (known !== undefined) return known
  const name = newName(claim)
  names.set(claim, name)
  return name
}

function newName({ name, unit, window, key }: Claim): string {
  return `${name}\n${unit}\n${window === undefined ? '' : 'ms' in window ? window.ms : `${window.calendar} ${window.zone}`}\n${key}`
}
