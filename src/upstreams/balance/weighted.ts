/**
 * Weighted: in turn, each as often as its weight says, and evenly spread: with weights 2 and 1 the
 * order is a, b, a and not a, a, b.
 */
import { shareOf } from '../condition.ts'
import type { Target, TargetState } from '../target.ts'
import type { Balance } from './balance.ts'

export function createWeighted(): Balance {
  /** What each is owed; the one that is owed most is next, and pays for all. */
  const owed = new WeakMap<TargetState, number>()
  return {
    choose(targets, { now }) {
      let total = 0
      let next = targets[0] as Target
      let most = Number.NEGATIVE_INFINITY
      for (const target of targets) {
        const weight = target.weight * shareOf(target.state, now)
        const due = (owed.get(target.state) ?? 0) + weight
        owed.set(target.state, due)
        total += weight
        if (due <= most) continue
        next = target
        most = due
      }
      owed.set(next.state, most - total)
      return next
    },
  }
}
