/**
 * Quantiles of many numbers in little memory: each is right to about two per cent.
 */
export interface Quantiles {
  add(value: number): void
  /** @param q - From 0 to 1. @returns Null where there is none. */
  at(q: number): number | null
}

const GROWTH = 1.02
const LOG_GROWTH = Math.log(GROWTH)

export function createQuantiles(): Quantiles {
  const buckets = new Map<number, number>()
  let count = 0
  return {
    add(value) {
      const bucket = value <= 0 ? Number.NEGATIVE_INFINITY : Math.floor(Math.log(value) / LOG_GROWTH)
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
      count++
    },
    at(q) {
      if (count === 0) return null
      let left = Math.max(1, Math.ceil(q * count))
      for (const [bucket, number] of [...buckets].sort(([a], [b]) => a - b)) {
        left -= number
        // The middle of the bucket.
        if (left <= 0) return bucket === Number.NEGATIVE_INFINITY ? 0 : rounded(GROWTH ** (bucket + 0.5))
      }
      return null
    },
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
