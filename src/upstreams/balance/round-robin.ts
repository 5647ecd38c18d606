/**
 * Round robin: in turn, whatever they are doing. One that came back lately misses some of its turns.
 */
import { shareOf } from '../condition.ts'
import type { Target } from '../target.ts'
import type { Balance } from './balance.ts'

export function createRoundRobin(random: () => number): Balance {
  let turn = 0
  return {
    choose(targets, { now }) {
      for (let tried = 0; tried < targets.length; tried++) {
        const target = targets[turn++ % targets.length] as Target
        const share = shareOf(target.state, now)
        if (share === 1 || random() < share) return target
      }
      return targets[turn++ % targets.length] as Target
    },
  }
}
