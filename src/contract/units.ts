/**
 * Durations and sizes as people write them: "250ms", "30s", "1h30m", "64KiB".
 *
 * Instants travel as milliseconds since the epoch.
 */

/** Milliseconds since the epoch. */
export type EpochMs = number

const DURATION_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
const SIZE_BYTES = {
  B: 1,
  KB: 1000,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const

/** For the schemas: one or more numbers with a unit each. */
export const DURATION_PATTERN = '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d|w))+$'
/** A duration that is not zero: a window of none would be no limit at all. */
export const POSITIVE_DURATION_PATTERN = `^(?=.*[1-9])${DURATION_PATTERN.slice(1)}`
export const SIZE_PATTERN = '^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB|KiB|MiB|GiB)$'

const DURATION = new RegExp(DURATION_PATTERN)
const SIZE = /^([0-9]+(?:\.[0-9]+)?)(B|KB|MB|GB|KiB|MiB|GiB)$/

/**
 * @param text - Such as `250ms`, `30s`, `1h30m`, `30d`.
 * @returns Milliseconds.
 * @throws RangeError when it is no duration.
 */
export function parseDuration(text: string): number {
  if (!DURATION.test(text)) throw new RangeError(`not a duration: ${JSON.stringify(text)}`)
  let total = 0
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d|w)/g)) {
    total += Number(amount) * DURATION_MS[unit as keyof typeof DURATION_MS]
  }
  return total
}

/**
 * @param text - Such as `64KiB`, `1MiB`, `500KB`.
 * @returns Bytes.
 * @throws RangeError when it is no size.
 */
export function parseSize(text: string): number {
  const match = SIZE.exec(text)
  if (!match) throw new RangeError(`not a size: ${JSON.stringify(text)}`)
  return Math.floor(Number(match[1]) * SIZE_BYTES[match[2] as keyof typeof SIZE_BYTES])
}
