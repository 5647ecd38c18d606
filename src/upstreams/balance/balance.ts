/**
 * Balance: which of the targets that could take a request gets it.
 */
import type { BalanceName } from '../../contract/config/pools.ts'
import type { Target } from '../target.ts'
import { createLatency } from './latency.ts'
import { createLeastInFlight } from './least-in-flight.ts'
import { createPrefix } from './prefix.ts'
import { createRoundRobin } from './round-robin.ts'
import { createWeighted } from './weighted.ts'

export interface Balance {
  /** @param targets - At least one; each could take the request. */
  choose(targets: readonly Target[], question: Question): Target
  /** The one that a conversation would always go to if it could; a balance that has no such thing has no word for it. */
  home?(targets: readonly Target[], key: number): Target | undefined
}

export interface Question {
  /** Milliseconds on the clock of the targets' states. */
  readonly now: number
  /** Of the conversation that the request belongs to; undefined where that does not matter. */
  readonly key: number | undefined
}

/** @param random - At least 0, less than 1. */
export function createBalance(name: BalanceName, random: () => number): Balance {
  switch (name) {
    case 'least_in_flight':
      return createLeastInFlight(random)
    case 'weighted':
      return createWeighted()
    case 'round_robin':
      return createRoundRobin(random)
    case 'latency':
      return createLatency(random)
    case 'prefix':
      return createPrefix(createLeastInFlight(random))
  }
}
