/**
 * Latency: the target whose first byte is to be expected soonest, from a moving average of its time to
 * first byte and what it has to do already.
 *
 * What is known of a target fades while nothing is sent to it, so that one that was slow is tried again.
 */
import { drawnShare } from '../condition.ts'
import { loadOf, type Target } from '../target.ts'
import type { Balance } from './balance.ts'

const HALF_LIFE_MS = 10_000

export function createLatency(random: () => number): Balance {
  let turn = 0
  return {
    choose(targets, { now }) {
      const from = turn++
      let best = targets[from % targets.length] as Target
      let bestWait = waitFor(best, now, random)
      for (let step = 1; step < targets.length; step++) {
        const target = targets[(from + step) % targets.length] as Target
        const wait = waitFor(target, now, random)
        if (wait >= bestWait) continue
        best = target
        bestWait = wait
      }
      return best
    },
  }
}

/** Of two that are not known yet the one with less to do comes first. */
function waitFor(target: Target, now: number, random: () => number): number {
  const { firstByteMs = 0, firstByteAt } = target.state
  const faded = firstByteMs * 2 ** ((firstByteAt - now) / HALF_LIFE_MS)
  return ((faded + 1) * (loadOf(target, now) + 1)) / (target.weight * drawnShare(target.state, now, random))
}
