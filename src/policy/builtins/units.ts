/** units.*: `10Ki`, `200m`, `1.5GB` as numbers, exactly. */
import { MOST_DIGITS, RegoNumber } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'

/** numerator / denominator */
interface Ratio {
  numerator: bigint
  denominator: bigint
}

const POWERS = ['k', 'm', 'g', 't', 'p', 'e']
const DECIMALS = 10
const MOST_EXPONENT_DIGITS = 6

/** Kubernetes-like quantities: `m` is a thousandth and `M` a million; only the first letter's case counts. */
export function parseUnits(text: string): RegoNumber {
  const { amount, unit } = split(text.replaceAll('"', ''))
  const known = unit.slice(0, 1) + unit.slice(1).toLowerCase()
  const { numerator, denominator } = times(
    ratio(amount),
    known === 'm' ? { numerator: 1n, denominator: 1000n } : siFactor(known),
  )
  if (numerator % denominator === 0n) return RegoNumber.of(numerator / denominator)
  return new RegoNumber(rounded(numerator, denominator))
}

/** Bytes: `kb` is a thousand, `kib` and `ki` are 1024; case does not count, fractions of a byte are dropped. */
export function parseBytes(text: string): RegoNumber {
  const { amount, unit } = split(text.toLowerCase().replaceAll('"', ''))
  const { numerator, denominator } = times(ratio(amount), bytesFactor(unit))
  return RegoNumber.of(numerator / denominator)
}

function split(text: string): { amount: string; unit: string } {
  if (text.includes(' ')) throw new BuiltinError('spaces not allowed in resource strings')
  const [amount = ''] = /^(?:[\d.+-]|[eE](?=[\d+-])[+-]?)*/.exec(text) ?? []
  if (amount.length > MOST_DIGITS) throw new BuiltinError('too many digits')
  if (amount === '') throw new BuiltinError('no amount provided')
  if (new RegExp(`[eE][+-]?\\d{${MOST_EXPONENT_DIGITS + 1}}`).test(amount))
    throw new BuiltinError('exponent too large')
  return { amount, unit: text.slice(amount.length) }
}

function ratio(amount: string): Ratio {
  const match = /^([+-]?)(?=\.?\d)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(amount)
  if (!match) throw new BuiltinError('could not parse amount to a number')
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`)
  const power = BigInt(exponent) - BigInt(fraction.length)
  // Beyond what any unit needs: the digits of 10^999999 would take seconds.
  if (power > 5000n || power < -5000n) throw new BuiltinError('exponent too large')
  return power >= 0n
    ? { numerator: digits * 10n ** power, denominator: 1n }
    : { numerator: digits, denominator: 10n ** -power }
}

function times(a: Ratio, b: Ratio): Ratio {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator }
}

function factor(base: bigint, power: number): Ratio {
  return { numerator: base ** BigInt(power), denominator: 1n }
}

function siFactor(unit: string): Ratio {
  const power = POWERS.indexOf(unit.slice(0, 1).toLowerCase()) + 1
  if (unit === '') return factor(1n, 0)
  if (power === 0 || !['', 'i'].includes(unit.slice(1))) throw new BuiltinError(`unit ${unit} not recognized`)
  return factor(unit.length === 2 ? 1024n : 1000n, power)
}

function bytesFactor(unit: string): Ratio {
  if (unit === '') return factor(1n, 0)
  const power = POWERS.indexOf(unit.slice(0, 1)) + 1
  if (power === 0 || !['', 'b', 'i', 'ib'].includes(unit.slice(1)))
    throw new BuiltinError(`byte unit ${unit} not recognized`)
  return factor(unit[1] === 'i' ? 1024n : 1000n, power)
}

/** Ten decimals, half away from zero, as Go's `Rat.FloatString`. */
function rounded(numerator: bigint, denominator: bigint): string {
  const magnitude = numerator < 0n ? -numerator : numerator
  const scaled = (magnitude * 10n ** BigInt(DECIMALS) * 2n + denominator) / (denominator * 2n)
  const digits = scaled.toString().padStart(DECIMALS + 1, '0')
  return `${numerator < 0n ? '-' : ''}${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`
}
