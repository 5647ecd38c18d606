/** Go float: float64 as text, as `strconv.FormatFloat` writes it for the verbs e, f, g, b and x. */

/** 0.d₁d₂d₃… × 10^point */
interface Digits {
  digits: string
  point: number
}

/**
 * @param verb - One of `e E f F g G b x X`.
 * @param precision - Digits after the point (e, f), significant digits (g); -1: as few as tell it apart.
 * @returns the text without a plus sign
 */
export function formatFloat(value: number, verb: string, precision: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const magnitude = Math.abs(value)
  if (verb === 'b') return sign + binary(magnitude)
  if (verb === 'x' || verb === 'X') return sign + cased(hexadecimal(magnitude, precision), verb)
  if (verb === 'f' || verb === 'F') return sign + fixed(magnitude, precision)
  if (verb === 'e' || verb === 'E') return sign + cased(exponential(magnitude, precision), verb)
  return sign + cased(general(magnitude, precision), verb === 'G' ? 'E' : 'e')
}

function cased(text: string, verb: string): string {
  return verb === verb.toUpperCase() ? text.toUpperCase() : text
}

function fixed(value: number, precision: number): string {
  const exact = precision < 0 ? shortest(value) : exactly(value)
  const rounded = precision < 0 ? exact : round(exact, exact.point + precision)
  return layFixed(rounded, precision < 0 ? Math.max(rounded.digits.length - rounded.point, 0) : precision)
}

function exponential(value: number, precision: number): string {
  const rounded = precision < 0 ? shortest(value) : round(exactly(value), precision + 1)
  return layExponential(rounded, precision < 0 ? rounded.digits.length - 1 : precision)
}

function general(value: number, precision: number): string {
  const wanted = precision === 0 ? 1 : precision
  const rounded = wanted < 0 ? shortest(value) : round(exactly(value), wanted)
  const exponent = value === 0 ? 0 : rounded.point - 1
  const significant = rounded.digits.length
  // With the shortest digits, an exponent is written as if six had been wanted.
  const limit = wanted < 0 ? 6 : wanted > significant && significant >= rounded.point ? significant : wanted
  if (exponent < -4 || exponent >= limit) return layExponential(rounded, Math.max(significant - 1, 0))
  return layFixed(rounded, Math.max(significant - rounded.point, 0))
}

function layFixed({ digits, point }: Digits, decimals: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0'
  const fraction = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits
  return decimals > 0 ? `${whole}.${fraction.slice(0, decimals).padEnd(decimals, '0')}` : whole
}

function layExponential({ digits, point }: Digits, decimals: number): string {
  const exponent = digits === '' ? 0 : point - 1
  const fraction = decimals > 0 ? `.${digits.slice(1).padEnd(decimals, '0')}` : ''
  const power = String(Math.abs(exponent)).padStart(2, '0')
  return `${digits[0] ?? '0'}${fraction}e${exponent < 0 ? '-' : '+'}${power}`
}

function shortest(value: number): Digits {
  if (value === 0) return { digits: '', point: 0 }
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string]
  return { digits: mantissa.replace('.', '').replace(/0+$/, ''), point: Number(exponent) + 1 }
}

/** Every digit that the binary value has. */
function exactly(value: number): Digits {
  if (value === 0) return { digits: '', point: 0 }
  const { mantissa, exponent } = parts(value)
  const digits = (
    exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent)
  ).toString()
  const point = digits.length + Math.min(exponent, 0)
  return { digits: digits.replace(/0+$/, ''), point }
}

/** Half to even, on exact digits. */
function round({ digits, point }: Digits, keep: number): Digits {
  if (keep >= digits.length) return { digits, point }
  if (keep < 0) return { digits: '', point: 0 }
  const rest = digits.slice(keep)
  const head = digits.slice(0, keep)
  const odd = Number(head.at(-1) ?? 0) % 2 === 1
  const up = (rest[0] as string) > '5' || (rest[0] === '5' && (/[1-9]/.test(rest.slice(1)) || odd))
  if (!up) return { digits: head.replace(/0+$/, ''), point: head === '' ? 0 : point }
  const raised = (BigInt(head || '0') + 1n).toString().padStart(keep, '0')
  return { digits: raised.replace(/0+$/, ''), point: point + raised.length - keep }
}

/** value = mantissa × 2^exponent */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const biased = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 0x10000000000000n, exponent: biased - 1075 }
}

function binary(value: number): string {
  const { mantissa, exponent } = parts(value)
  return `${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`
}

function hexadecimal(value: number, precision: number): string {
  let { mantissa, exponent } = parts(value)
  if (mantissa === 0n) return `0x0${precision > 0 ? `.${'0'.repeat(precision)}` : ''}p+00`
  // One bit before the point, sixty after it: room to round in.
  for (; mantissa < 1n << 60n; exponent--) mantissa <<= 1n
  if (precision >= 0 && precision < 15) {
    const shift = BigInt(60 - precision * 4)
    const rest = mantissa & ((1n << shift) - 1n)
    const half = 1n << (shift - 1n)
    mantissa >>= shift
    if (rest > half || (rest === half && (mantissa & 1n) === 1n)) mantissa++
    mantissa <<= shift
    if (mantissa >= 1n << 61n) {
      mantissa >>= 1n
      exponent++
    }
  }
  const digits = (mantissa & ((1n << 60n) - 1n)).toString(16).padStart(15, '0')
  const shown = precision < 0 ? digits.replace(/0+$/, '') : digits.slice(0, precision).padEnd(precision, '0')
  const power = exponent + 60
  return `0x1${shown === '' ? '' : `.${shown}`}p${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
