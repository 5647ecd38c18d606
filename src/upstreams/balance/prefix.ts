/**
 * Prefix: requests that begin alike go to the same target, whose KV cache then holds that beginning.
 *
 * Each target draws a number from the conversation's key and its own URL, and the highest wins, as often
 * as its weight says (rendezvous hashing): a target that joins or leaves moves only its own share. A
 * target that has more to do than half over its part is passed over for the next highest, so that
 * one popular beginning does not bury it.
 */
import { shareOf } from '../condition.ts'
import { loadOf, type Target, type TargetState } from '../target.ts'
import type { Balance } from './balance.ts'

/** How much more than its part a target may have to do. */
const BOUND = 1.5

/** @param otherwise - For requests that belong to no conversation. */
export function createPrefix(otherwise: Balance): Balance {
  const seeds = new WeakMap<TargetState, number>()

  function seedOf(state: TargetState): number {
    const known = seeds.get(state)
    if (known !== undefined) return known
    const seed = hashText(state.url)
    seeds.set(state, seed)
    return seed
  }

  /** @param weightOf - 0 for one that is out of the question. */
  function highest(
    targets: readonly Target[],
    key: number,
    weightOf: (target: Target) => number,
  ): Target | undefined {
    let best: Target | undefined
    let most = 0
    for (const target of targets) {
      const weight = weightOf(target)
      const drawn = weight === 0 ? 0 : draw(key, seedOf(target.state), weight)
      if (drawn <= most) continue
      best = target
      most = drawn
    }
    return best
  }

  return {
    choose(targets, question) {
      const { key, now } = question
      if (key === undefined) return otherwise.choose(targets, question)
      let load = 1
      let weights = 0
      for (const target of targets) {
        load += loadOf(target, now)
        weights += target.weight
      }
      const mostPerWeight = (BOUND * load) / weights
      const chosen = highest(targets, key, target =>
        loadOf(target, now) + 1 > Math.ceil(mostPerWeight * target.weight)
          ? 0
          : target.weight * shareOf(target.state, now),
      )
      return chosen ?? otherwise.choose(targets, question)
    },
    home: (targets, key) => highest(targets, key, target => target.weight),
  }
}

/** The same for the same key and seed; of several, the highest is each one's as often as its weight says. */
function draw(key: number, seed: number, weight: number): number {
  const uniform = (mixed(key ^ seed) + 0.5) / 2 ** 32
  return weight / -Math.log(uniform)
}

/** FNV-1a, 32 bits, over UTF-16 units. */
export function hashText(text: string, from = 0x811c9dc5): number {
  let hash = from
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** Spreads what differs in few bits over all of them. */
function mixed(value: number): number {
  let hash = value | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
