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
/** A tick that is later than this tells that the process stood still, and maybe the machine. */
const STOOD_STILL_MS = 250

/**
 * @param now - Milliseconds on any clock that does not go back; `dueAt` is on the same.
 * @param options.countStandstill - Whether time counts in which this process stood still. It does for a right
 *   that ends; not for a server that could not be asked, nor heard, meanwhile. True unless told.
 */
export function createDeadlines(now: () => number, { countStandstill = true } = {}): Deadlines {
  const watching = new Roster<Watched>()
  let timer: NodeJS.Timeout | undefined
  let tickedAt = 0

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

  function tick(): void {
    const at = now()
    const lateBy = at - tickedAt - TICK_MS
    tickedAt = at
    if (!countStandstill && lateBy > STOOD_STILL_MS) for (const watched of watching) watched.dueAt += lateBy
    // Timers come first in a turn of the event loop, then what arrived is read, then immediates run: at
    // whatever point of a turn the process stood still, nobody is told to have been silent who was not.
    setImmediate(look, at)
  }

  function begin(): NodeJS.Timeout {
    tickedAt = now()
    return setInterval(tick, TICK_MS).unref()
  }

  return {
    watch(watched) {
      watching.add(watched)
      timer ??= begin()
    },
    forget: watched => watching.delete(watched),
  }
}
