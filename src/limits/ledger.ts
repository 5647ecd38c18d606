/**
 * Ledger: what has been spent, by limit, window and key.
 *
 * Outlives every revision: a policy edit must not refill a budget. All limits of one decision are
 * taken together or not at all, in one synchronous step, so nothing can come between the check
 * and the charge. That, and being handed its clock, is why this is not `rate-limiter-flexible`:
 * its memory limiter answers by promise, charges what it refuses, and reads the clock itself.
 */
import type { EpochMs } from '../contract/units.ts'

/** One limit of a decision, ready to be counted. */
export interface Claim {
  readonly name: string
  readonly key: string
  readonly unit: 'requests' | 'concurrency'
  readonly limit: number
  /** Undefined for concurrency, which has no window. */
  readonly windowMs: number | undefined
  /** Counts without refusing. */
  readonly observe: boolean
}

/** How a limit stands after a request was counted, or refused. */
export interface Standing {
  readonly claim: Claim
  /** Never below 0. */
  readonly remaining: number
  readonly resetsAt: EpochMs | undefined
}

export interface Reservation {
  readonly standings: readonly Standing[]
  /** Gives back what is held while a request runs. Calling it again changes nothing. */
  release(): void
  /** Undoes the reservation whole, for a request that had no effect. */
  giveBack(): void
}

export type Taking =
  | { readonly taken: true; readonly reservation: Reservation }
  | { readonly taken: false; readonly refusedBy: Standing; readonly standings: readonly Standing[] }

export interface Ledger {
  take(claims: readonly Claim[], now: EpochMs): Taking
  /** How the limits stand, spending nothing. */
  look(claims: readonly Claim[], now: EpochMs): readonly Standing[]
  /** Counters held in memory. */
  size(): number
}

interface Counter {
  used: number
  /** Infinity where there is no window. */
  endsAt: EpochMs
}

/** Expired counters are looked for once in so many takings. */
const SWEEP_EVERY = 4096

export function createLedger(): Ledger {
  const counters = new Map<string, Counter>()
  let untilSweep = SWEEP_EVERY

  function counterOf(claim: Claim, now: EpochMs): Counter {
    const name = nameOf(claim)
    const known = counters.get(name)
    if (known && now < known.endsAt) return known
    const counter = {
      used: 0,
      endsAt: claim.windowMs === undefined ? Number.POSITIVE_INFINITY : now + claim.windowMs,
    }
    counters.set(name, counter)
    return counter
  }

  function take(claims: readonly Claim[], now: EpochMs): Taking {
    if (--untilSweep <= 0) sweep(now)
    const taken = new Map<Counter, Claim>()
    for (const claim of claims) {
      const counter = counterOf(claim, now)
      // A counter that one decision names twice is charged once, and both its limits hold.
      const cost = taken.has(counter) ? 0 : 1
      if (!claim.observe && counter.used + cost > claim.limit) {
        const refusedBy = standing(claim, counter)
        for (const [counter, claim] of taken) put(claim, counter)
        dropIfEmpty(claim, counter)
        return { taken: false, refusedBy, standings: look(claims, now) }
      }
      counter.used += cost
      if (cost > 0) taken.set(counter, claim)
    }
    const standings = claims.map(claim => standing(claim, counterOf(claim, now)))
    return { taken: true, reservation: reservationOf(taken, standings) }
  }

  function reservationOf(taken: ReadonlyMap<Counter, Claim>, standings: readonly Standing[]): Reservation {
    let held = true
    return {
      standings,
      release() {
        if (!held) return
        held = false
        for (const [counter, claim] of taken) if (claim.unit === 'concurrency') put(claim, counter)
      },
      giveBack() {
        if (!held) return
        held = false
        for (const [counter, claim] of taken) put(claim, counter)
      },
    }
  }

  /** Puts one back into the counter it came from, even if its window has ended since. */
  function put(claim: Claim, counter: Counter): void {
    counter.used--
    dropIfEmpty(claim, counter)
  }

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

function standing(claim: Claim, counter: Counter | undefined): Standing {
  const resetsAt = counter && Number.isFinite(counter.endsAt) ? counter.endsAt : undefined
  return { claim, remaining: Math.max(0, Math.floor(claim.limit - (counter?.used ?? 0))), resetsAt }
}

/** `limit` is compared and not part of the name, so raising or lowering it counts at once. */
function nameOf({ name, unit, windowMs, key }: Claim): string {
  return `${name}\n${unit}\n${windowMs ?? ''}\n${key}`
}
