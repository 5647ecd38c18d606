/**
 * Decision cache: what was decided, for the next input that is the same to the letter.
 *
 * Exact, because it holds only what is a function of the policy and its input: the decisions for which no
 * builtin looked at the instant or drew by chance. Of no use where inputs always differ, and then it rests.
 */
import type { Instant } from './engine/engine.ts'
import type { Reads } from './reads.ts'
import type { Decided } from './revision.ts'

export interface DecisionCache {
  get(inputText: string): Decided | undefined
  put(inputText: string, decided: Decided): void
}

/** Half of them: those that were used least lately go, so many at a time. */
const GENERATION = 2000
/** Characters; a longer input is not kept. */
const LONGEST_INPUT = 4096
/** While a generation came together, fewer hits than this were not worth the keeping. */
const FEW_HITS = GENERATION / 20
/** And so many decisions later it is tried again. */
const REST = 20 * GENERATION

/** @returns Undefined where no two inputs are the same, as far as can be told. */
export function createDecisionCache(reads: Reads): DecisionCache | undefined {
  return DIFFERS_EACH_TIME.some(pointer => reads.mayDependOn(pointer)) ? undefined : new Generations()
}

/** The last of them are what is said to a model, which is not kept here. */
const DIFFERS_EACH_TIME = [
  '/input/time',
  '/input/request/id',
  '/input/request/body/messages',
  '/input/request/body/prompt',
  '/input/request/body/input',
]

/** A least-recently-used cache in two maps: who is asked for moves to the younger one. */
class Generations implements DecisionCache {
  #young = new Map<string, Decided>()
  #old = new Map<string, Decided>()
  #hits = 0
  #rest = 0

  get(inputText: string): Decided | undefined {
    if (this.#rest > 0) {
      this.#rest--
      return undefined
    }
    const young = this.#young.get(inputText)
    const decided = young ?? this.#old.get(inputText)
    if (decided) this.#hits++
    if (decided && !young) this.#keep(inputText, decided)
    return decided
  }

  put(inputText: string, decided: Decided): void {
    if (this.#rest === 0 && inputText.length <= LONGEST_INPUT) this.#keep(inputText, decided)
  }

  #keep(inputText: string, decided: Decided): void {
    if (this.#young.size >= GENERATION) this.#turn()
    if (this.#rest === 0) this.#young.set(inputText, decided)
  }

  #turn(): void {
    this.#old = this.#young
    this.#young = new Map()
    if (this.#hits < FEW_HITS) {
      this.#old = new Map()
      this.#rest = REST
    }
    this.#hits = 0
  }
}

/** An instant that knows whether it was looked at. */
export class WatchedInstant implements Instant {
  wasLookedAt = false

  constructor(private readonly instant: Instant) {}

  get nowNs(): bigint {
    this.wasLookedAt = true
    return this.instant.nowNs
  }

  get seed(): string {
    this.wasLookedAt = true
    return this.instant.seed
  }
}
