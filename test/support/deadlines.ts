/** Deadlines on a clock that a test moves. */
import type { Deadlines, Watched } from '../../src/upstreams/deadlines.ts'

export interface VirtualDeadlines extends Deadlines {
  /** Lets so many milliseconds go by, step by step, and calls what is due. */
  pass(ms: number): void
}

const STEP_MS = 100

export function virtualDeadlines(clock: { now: number }): VirtualDeadlines {
  const watching = new Set<Watched>()
  return {
    watch: watched => void watching.add(watched),
    forget: watched => void watching.delete(watched),
    pass(ms) {
      const until = clock.now + ms
      while (clock.now < until) {
        clock.now = Math.min(until, clock.now + STEP_MS)
        for (const watched of [...watching]) {
          if (!watching.has(watched) || clock.now < watched.dueAt) continue
          watching.delete(watched)
          watched.onDue(clock.now)
        }
      }
    },
  }
}
