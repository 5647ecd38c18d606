/**
 * Least in flight, for its weight. Of many targets two are drawn and the better one is taken: that is
 * nearly as good as the best of all, and two gateways do not run to the same one.
 */
import { drawnShare } from '../condition.ts'
import { loadOf, type Target } from '../target.ts'
import type { Balance } from './balance.ts'

/** With more than so many targets two are drawn. */
const MOST_COMPARED = 8

export function createLeastInFlight(random: () => number): Balance {
  let turn = 0

  /** Begins at another place each time, so that targets that are alike take turns. */
  function least(targets: readonly Target[], now: number): Target {
    const from = turn++
    let best = targets[from % targets.length] as Target
    let bestLoad = loadFor(best, now, random)
    for (let step = 1; step < targets.length; step++) {
      const target = targets[(from + step) % targets.length] as Target
      const load = loadFor(target, now, random)
      if (load >= bestLoad) continue
      best = target
      bestLoad = load
    }
    return best
  }

  return {
    choose: (targets, { now }) =>
      least(targets.length > MOST_COMPARED ? twoOf(targets, random) : targets, now),
  }
}

/** The load that a target would have with one request more, for its weight. */
function loadFor(target: Target, now: number, random: () => number): number {
  return (loadOf(target, now) + 1) / (target.weight * drawnShare(target.state, now, random))
}

function twoOf(targets: readonly Target[], random: () => number): readonly Target[] {
  const one = Math.floor(random() * targets.length)
  const step = 1 + Math.floor(random() * (targets.length - 1))
  return [targets[one] as Target, targets[(one + step) % targets.length] as Target]
}
