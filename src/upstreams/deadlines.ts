/**
 * Deadlines of all running calls, watched by one timer: no timer of its own per request or chunk.
 */
import { Roster, type Rostered } from '../contract/roster.ts'
import type { EpochMs } from '../contract/units.ts'

export interface Deadlines {
  /** Calls once, when it is due, unless it is forgotten before. */
  watch(watched: Watched): void
  /** Does nothing for what is not watched. */
  forget(watched: Watched): void
}

export interface Watched extends Rostered {
  /** When to call; may move at any time. */
  dueAt: EpochMs
  onDue(now: EpochMs): void
}

/** How late a deadline may be noticed. */
const TICK_MS = 100

/** @param now - Milliseconds on any clock that does not go back; `dueAt` is on the same. */
export function createDeadlines(now: () => number): Deadlines {
  const watching = new Roster<Watched>()
  let timer: NodeJS.Timeout | undefined

  /** @param at - All that had come by then was read. */
  function look(at: EpochMs): void {
    for (const watched of watching) {
      if (at < watched.dueAt || !watching.has(watched)) continue
      watching.delete(watched)
      watched.onDue(at)
    }
    if (watching.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    watch(watched) {
      watching.add(watched)
      // Timers come first in a turn of the event loop, then what arrived is read, then immediates run: nobody
      // is told to have been silent while the process stood still, at whatever point of a turn it did.
      timer ??= setInterval(() => setImmediate(look, now()), TICK_MS).unref()
    },
    forget: watched => watching.delete(watched),
  }
}
