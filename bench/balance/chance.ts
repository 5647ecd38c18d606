/** Chance that can be told again: the same seed, the same numbers (mulberry32). */
export interface Chance {
  /** At least 0, less than 1. */
  next(): number
  /** A whole number, both ends included. */
  between(range: readonly [number, number]): number
  exponential(mean: number): number
}

export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    between: ([from, to]) => from + Math.floor(next() * (to - from + 1)),
    exponential: mean => -Math.log(1 - next()) * mean,
  }
}
