/**
 * Slots: how a window that rolls is counted, the same in every store.
 *
 * A slot is a sixtieth of the window's length on the clock. It leaves when the last charge that it
 * holds is as old as the window: so no span of that length ever holds more than was let through, and
 * what was charged counts for a sixtieth too long at most.
 *
 * The time of a counter does not go back, so gateways whose clocks differ a little agree on it. Only
 * a clock that is behind it by more than the window is believed: then all that counts is dated anew,
 * and nobody waits until an hour that comes twice has come twice.
 */
import { DUST } from './counters.ts'
import type { EpochMs } from './units.ts'

const SLOTS = 60

/** What was charged in a slot, and when it leaves. */
export interface Charge {
  readonly used: number
  readonly endsAt: EpochMs
}

/** The slot of an instant. */
export function slotAt(at: EpochMs, rollingMs: number): number {
  return Math.floor((at * SLOTS) / rollingMs)
}

/** @param newestEndsAt - When what was charged last leaves. */
export function isDatedAnew(newestEndsAt: EpochMs, rollingMs: number, now: EpochMs): boolean {
  return newestEndsAt - rollingMs - now > rollingMs
}

/** When that leaves which is charged now. @param newestEndsAt - Undefined where nothing was charged. */
export function chargeEndsAt(newestEndsAt: EpochMs | undefined, rollingMs: number, now: EpochMs): EpochMs {
  const endsAt = now + rollingMs
  return newestEndsAt === undefined || isDatedAnew(newestEndsAt, rollingMs, now)
    ? endsAt
    : Math.max(endsAt, newestEndsAt)
}

/**
 * @param charges - Those that count, in the order in which they leave.
 * @param excess - How much of them must have left.
 * @returns Undefined when all of them are not enough.
 */
export function fitsWhen(charges: Iterable<Charge>, excess: number): EpochMs | undefined {
  let left = excess
  for (const { used, endsAt } of charges) {
    left -= used
    if (left <= DUST) return endsAt
  }
  return undefined
}
