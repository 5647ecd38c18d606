/**
 * Counters: what a shared store does for the limits of a decision, each call in one atomic step.
 *
 * A counter with a window holds what was used of it; one without counts leases, which end by
 * themselves unless they are renewed.
 */
import type { EpochMs } from './units.ts'

export interface Counters {
  /**
   * Charges all of an order or nothing.
   * @throws StoreUnavailable, or rejects with it; then the order is not charged, or is undone once
   *   the store answers again.
   */
  take(order: Order, now: EpochMs): Taken | Promise<Taken>
  /** Corrects what an order charged and ends its leases: once, however often it must be tried. */
  settle(order: Order, taken: Taken, differences: readonly number[]): void
  /** How counters stand. @throws as `take` */
  look(counters: readonly Counted[], now: EpochMs): readonly Count[] | Promise<readonly Count[]>
  /**
   * Says that this gateway lives and still holds these orders.
   * @returns How many gateways share the counters. @throws as `take`
   */
  renew(held: readonly Order[], now: EpochMs): number | Promise<number>
}

export interface Counted {
  readonly name: string
  /** When what is charged now counts no longer. Undefined: leases. Infinity: a window without an end. */
  readonly endsAt: EpochMs | undefined
  /** The length of a window that rolls; undefined where all of a window ends at once. */
  readonly rollingMs: number | undefined
}

export interface Order {
  /** Unique: where an answer can be lost, what is asked again under the same id is charged once. */
  readonly id: string
  /** Each counter once. */
  readonly bills: readonly Bill[]
  /** What has happened already is charged whatever the limits are. */
  readonly force: boolean
}

export interface Bill extends Counted {
  /** Of leases 1, or 0. */
  readonly amount: number
  /** Infinity: is counted and refuses nothing. */
  readonly limit: number
}

export interface Taken {
  /** The first bill that did not fit; undefined: all were charged. */
  readonly refusedBy: number | undefined
  /** How each counter stands after it, in the order of the bills. */
  readonly counts: readonly Count[]
  /** When all of it would fit if nothing else came; undefined where that cannot be told, or all fitted. */
  readonly fitsAt: EpochMs | undefined
}

export interface Count {
  readonly used: number
  /** When nothing of it counts any more; undefined of leases, and of a rolling window that holds nothing. */
  readonly endsAt: EpochMs | undefined
}

/** How long a lease holds that nobody renews. */
export const LEASE_MS = 15_000
/** Of a cost, what is smaller is the rounding of sums. */
export const DUST = 1e-9

/** The store itself does not answer, and what was asked may or may not have been done. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}
