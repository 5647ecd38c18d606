/**
 * What was found out about credentials, for as long as it holds: bounded, and forgotten oldest first.
 *
 * Two generations: what is asked for moves into the young one, and when that is full the old one goes.
 */
import type { EpochMs } from '../contract/units.ts'

export interface Remembered<T> {
  get(credential: string, now: EpochMs): T | undefined
  /** @param until - From then on it is forgotten. */
  set(credential: string, value: T, until: EpochMs): void
  clear(): void
}

interface Entry<T> {
  readonly value: T
  readonly until: EpochMs
}

/** @param most - How many are kept at least, when as many are asked for; never more than twice as many. */
export function createRemembered<T>(most = 10_000): Remembered<T> {
  let young = new Map<string, Entry<T>>()
  let old = new Map<string, Entry<T>>()

  function put(credential: string, entry: Entry<T>): void {
    if (young.size >= most) {
      old = young
      young = new Map()
    }
    young.set(credential, entry)
  }

  return {
    get(credential, now) {
      let entry = young.get(credential)
      if (entry === undefined) {
        entry = old.get(credential)
        if (entry === undefined) return undefined
        old.delete(credential)
        if (now < entry.until) put(credential, entry)
      }
      if (now < entry.until) return entry.value
      young.delete(credential)
      return undefined
    },
    set: (credential, value, until) => put(credential, { value, until }),
    clear() {
      young.clear()
      old.clear()
    },
  }
}
