/** Chance that can be told again: the same seed, the same numbers (mulberry32). */
export interface Chance {
  /** From 0, below `below`. */
  integer(below: number): number
  pick<T>(of: readonly T[]): T
}

export function chance(seed: number): Chance {
  let state = seed >>> 0
  const integer = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
  return { integer, pick: of => of[integer(of.length)] as (typeof of)[number] }
}
