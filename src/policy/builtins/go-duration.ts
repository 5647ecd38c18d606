/** Go duration: `1h15m30.5s` to nanoseconds, as Go's `time.ParseDuration` reads it. */
import { BuiltinError } from './builtin.ts'

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n], // micro sign
  ['\u03bcs', 1_000n], // Greek mu
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])
const PART = /(\d*)(?:\.(\d*))?([^\d.]+)/y
const MAX = 2n ** 63n

/** @throws BuiltinError when the text is no duration, or longer than 64 bits of nanoseconds (292 years). */
export function parseDuration(text: string): bigint {
  const negative = text[0] === '-'
  const body = /^[+-]/.test(text) ? text.slice(1) : text
  if (body === '0') return 0n
  let total = 0n
  for (let at = 0; at < body.length; ) {
    PART.lastIndex = at
    const [part, whole = '', fraction = '', unit = ''] = PART.exec(body) ?? []
    const scale = UNITS.get(unit)
    if (part === undefined || whole + fraction === '' || scale === undefined) throw invalid(text)
    total += BigInt(whole || '0') * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length)
    at = PART.lastIndex
  }
  if (body === '' || total > (negative ? MAX : MAX - 1n)) throw invalid(text)
  return negative ? -total : total
}

function invalid(text: string): BuiltinError {
  return new BuiltinError(`time: invalid duration ${JSON.stringify(text)}`)
}
