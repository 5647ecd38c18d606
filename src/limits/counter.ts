/**
 * Counter: what was used of one limit, in memory. What is charged together leaves together: all of a
 * part of the calendar, or a slot of a window that rolls.
 */
import { DUST } from '../contract/counters.ts'
import { chargeEndsAt, fitsWhen, isDatedAnew, slotAt } from '../contract/slots.ts'
import type { EpochMs } from '../contract/units.ts'
import { type CalendarWindow, calendarWindow } from './calendar.ts'

/** A length in milliseconds that rolls, or a part of the calendar. */
export type Window = { readonly ms: number } | { readonly calendar: CalendarWindow; readonly zone: string }

/** What was charged together, and when it leaves. */
export interface Slot {
  used: number
  endsAt: EpochMs
  /** It counts no longer. */
  left: boolean
}

export class Counter {
  /** In the order in which they leave. */
  #slots: Slot[] = []
  #used = 0
  readonly #rollingMs: number | undefined

  constructor(
    readonly name: string,
    /** Undefined: what is charged counts until it is given back. */
    private readonly window: Window | undefined,
  ) {
    this.#rollingMs = rollingMsOf(window)
  }

  usedAt(now: EpochMs): number {
    const oldest = this.#slots[0]
    if (oldest === undefined) return 0
    const at = this.#rollingMs === undefined ? now : this.#timeAt(this.#rollingMs, now)
    if (oldest.endsAt <= at) this.#forget(at)
    return this.#used
  }

  /** When nothing of it counts any more; undefined where nothing does, or nobody can tell. */
  endsAt(now: EpochMs): EpochMs | undefined {
    const newest = this.#slots[this.#slots.length - 1]
    const rollingMs = this.#rollingMs
    if (rollingMs === undefined) return knownEnd(newest?.endsAt ?? endOf(this.window, now))
    if (newest === undefined || this.#used === 0) return undefined
    return isDatedAnew(newest.endsAt, rollingMs, now) ? now + rollingMs : newest.endsAt
  }

  /** @param excess - How much must have left. @returns Undefined when nobody can tell. */
  fitsAt(excess: number, now: EpochMs): EpochMs | undefined {
    const rollingMs = this.#rollingMs
    if (rollingMs === undefined) return this.endsAt(now)
    const newest = this.#slots[this.#slots.length - 1]
    const anew = newest !== undefined && isDatedAnew(newest.endsAt, rollingMs, now)
    return (anew ? undefined : fitsWhen(this.#slots, excess)) ?? now + rollingMs
  }

  /** @returns What it was charged to, to be corrected there. */
  charge(amount: number, now: EpochMs): Slot {
    this.usedAt(now)
    const slot = this.#rollingMs === undefined ? this.#whole(now) : this.#slotOf(this.#rollingMs, now)
    slot.used += amount
    this.#used += amount
    return slot
  }

  /** What counts no longer is not corrected. */
  correct(slot: Slot, difference: number): void {
    if (slot.left) return
    const before = slot.used
    slot.used = withoutDust(before + difference)
    this.#used = withoutDust(this.#used + slot.used - before)
  }

  /** Whether it is as good as none: it holds nothing, and what runs does not come back to it. */
  isOver(now: EpochMs): boolean {
    if (this.window === undefined) return this.#used === 0
    return this.#slots.every(({ endsAt }) => endsAt <= now)
  }

  #whole(now: EpochMs): Slot {
    const running = this.#slots[0]
    if (running !== undefined) return running
    return this.#begin(endOf(this.window, now))
  }

  #slotOf(rollingMs: number, now: EpochMs): Slot {
    const newest = this.#slots[this.#slots.length - 1]
    const endsAt = chargeEndsAt(newest?.endsAt, rollingMs, now)
    if (newest === undefined) return this.#begin(endsAt)
    if (slotAt(newest.endsAt - rollingMs, rollingMs) === slotAt(endsAt - rollingMs, rollingMs)) {
      newest.endsAt = endsAt
      return newest
    }
    if (endsAt >= newest.endsAt) return this.#begin(endsAt)
    // Dated anew.
    const used = this.#used
    this.#leave(this.#slots.length)
    const slot = this.#begin(endsAt)
    slot.used = used
    this.#used = used
    return slot
  }

  #begin(endsAt: EpochMs): Slot {
    const slot = { used: 0, endsAt, left: false }
    this.#slots.push(slot)
    return slot
  }

  /** Its own time, which does not go back. */
  #timeAt(rollingMs: number, now: EpochMs): EpochMs {
    const newest = this.#slots[this.#slots.length - 1] as Slot
    return Math.max(now, newest.endsAt - rollingMs)
  }

  #forget(at: EpochMs): void {
    const counts = this.#slots.findIndex(({ endsAt }) => endsAt > at)
    this.#leave(counts < 0 ? this.#slots.length : counts)
  }

  /** Summed anew: of additions that are undone one by one, the rounding would stay. */
  #leave(first: number): void {
    for (const slot of this.#slots.splice(0, first)) slot.left = true
    this.#used = this.#slots.reduce((sum, { used }) => sum + used, 0)
  }
}

export function rollingMsOf(window: Window | undefined): number | undefined {
  return window !== undefined && 'ms' in window ? window.ms : undefined
}

/** When what is charged now counts no longer; Infinity where there is no window. */
export function endOf(window: Window | undefined, now: EpochMs): EpochMs {
  if (window === undefined) return Number.POSITIVE_INFINITY
  return 'ms' in window ? now + window.ms : calendarWindow(now, window.calendar, window.zone).until
}

function knownEnd(endsAt: EpochMs): EpochMs | undefined {
  return Number.isFinite(endsAt) ? endsAt : undefined
}

function withoutDust(used: number): number {
  return used < DUST ? 0 : used
}
