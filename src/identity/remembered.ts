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
  readonly credential: string
  readonly value: T
  readonly until: EpochMs
}

/**
 * Entries are found by the end of the credential, which in a signed one is the signature, and then
 * compared whole: to hash a thousand characters would cost more than all the rest.
 */
const TAIL_LENGTH = 64

/** @param most - How many are kept at least, when as many are asked for; never more than twice as many. */
export function createRemembered<T>(most = 10_000): Remembered<T> {
  let young = new Map<string, Entry<T>>()
  let old = new Map<string, Entry<T>>()

  function put(tail: string, entry: Entry<T>): void {
    if (young.size >= most) {
      old = young
      young = new Map()
    }
    young.set(tail, entry)
  }

  return {
    get(credential, now) {
      const tail = credential.slice(-TAIL_LENGTH)
      let entry = young.get(tail)
      if (entry === undefined) {
        entry = old.get(tail)
        if (entry === undefined || entry.credential !== credential) return undefined
        old.delete(tail)
        if (now < entry.until) put(tail, entry)
      }
      if (entry.credential !== credential) return undefined
      if (now < entry.until) return entry.value
      young.delete(tail)
      return undefined
    },
    set: (credential, value, until) => put(credential.slice(-TAIL_LENGTH), { credential, value, until }),
    clear() {
      young.clear()
      old.clear()
    },
  }
}
