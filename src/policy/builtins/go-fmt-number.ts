/** Go fmt's numbers: int, *big.Int and float64, each with its own rules for flags and widths. */
import { formatFloat } from './go-float.ts'
import { type Format, pad } from './go-fmt.ts'
import { quoteGo } from './go-text.ts'

const BASES: Record<string, number> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }

/** @returns undefined for a verb that an int does not have */
export function formatInteger(value: bigint, format: Format): string | undefined {
  const { verb, width, minus, plus, space, zero, precision } = format
  if (verb === 'c') return pad(charOf(value), format)
  if (verb === 'q') return pad(quoteGo(charOf(value), format.plus, "'"), format)
  if (verb === 'U') return pad(unicode(value, format), { ...format, zero: false })
  const base = BASES[verb]
  if (base === undefined) return undefined
  const unpadded = { ...format, zero: false }
  if (precision === 0 && value === 0n) return pad('', unpadded)
  const negative = value < 0n
  const signed = negative || plus || space
  const least = precision ?? (zero && !minus && width !== undefined ? width - (signed ? 1 : 0) : 0)
  const digits = digitsOf(value, base, verb).padStart(least, '0')
  return pad(signOf(negative, format) + prefixOf(format, digits) + digits, unpadded)
}

/** @returns undefined never: an unknown verb is named in the text, as big.Int does itself */
export function formatBigInteger(value: bigint, format: Format): string {
  const { verb, width, minus, zero, precision } = format
  const base = verb === 's' ? 10 : BASES[verb]
  if (base === undefined) return `%!${verb}(big.Int=${value})`
  const digits = digitsOf(value, base, verb).padStart(precision ?? 0, '0')
  const head = signOf(value < 0n, format) + (verb === 'o' && format.sharp ? '0' : prefixOf(format, digits))
  const missing = Math.max((width ?? 0) - head.length - digits.length, 0)
  if (minus) return head + digits + ' '.repeat(missing)
  if (zero && precision === undefined) return head + '0'.repeat(missing) + digits
  return ' '.repeat(missing) + head + digits
}

/** @returns undefined for a verb that a float64 does not have */
export function formatFloatVerb(value: number, format: Format): string | undefined {
  const { verb, plus, space, zero, minus, width } = format
  const known = verb === 'v' ? 'g' : verb
  if (!/^[beEfFgGxX]$/.test(known)) return undefined
  const precision = format.precision ?? (/[eEfF]/.test(known) ? 6 : -1)
  const text = formatFloat(value, known, precision)
  const finite = Number.isFinite(value)
  const sign = text[0] === '-' ? '-' : plus ? '+' : space ? ' ' : text[0] === '+' ? '+' : ''
  const unsigned = text.replace(/^[+-]/, '')
  const digits =
    format.sharp && finite && verb !== 'v' && known !== 'b'
      ? withPoint(unsigned, known, format.precision)
      : unsigned
  if (zero && !minus && finite) return sign + digits.padStart((width ?? 0) - sign.length, '0')
  return pad((finite || sign !== '+' || plus ? sign : '+') + digits, { ...format, zero: false })
}

/** The # flag: a decimal point always, and for %g its trailing zeros too. */
function withPoint(text: string, verb: string, precision: number | undefined): string {
  const [, mantissa = '', tail = ''] = /^([^ep]*)([ep].*)?$/i.exec(text) ?? []
  const pointed = mantissa.includes('.') ? mantissa : `${mantissa}.`
  if (!/[gG]/.test(verb)) return pointed + tail
  const significant = pointed.replace('.', '').replace(/^0+/, '').length
  return pointed + '0'.repeat(Math.max((precision ?? 6) - significant, 0)) + tail
}

function digitsOf(value: bigint, base: number, verb: string): string {
  const digits = (value < 0n ? -value : value).toString(base)
  return verb === 'X' ? digits.toUpperCase() : digits
}

function signOf(negative: boolean, { plus, space }: Format): string {
  return negative ? '-' : plus ? '+' : space ? ' ' : ''
}

function prefixOf({ verb, sharp }: Format, digits: string): string {
  if (verb === 'O') return '0o'
  if (!sharp) return ''
  if (verb === 'o') return digits.startsWith('0') ? '' : '0'
  return verb === 'b' ? '0b' : verb === 'x' ? '0x' : verb === 'X' ? '0X' : ''
}

function charOf(value: bigint): string {
  const valid = value >= 0n && value <= 0x10ffffn && (value < 0xd800n || value > 0xdfffn)
  return valid ? String.fromCodePoint(Number(value)) : '\ufffd'
}

function unicode(value: bigint, { sharp, precision }: Format): string {
  const code = BigInt.asUintN(64, value)
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(precision ?? 4, 4), '0')
  return `U+${code}${sharp && value <= 0x10ffffn ? ` '${charOf(value)}'` : ''}`
}
