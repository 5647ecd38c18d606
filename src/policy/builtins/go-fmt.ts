/**
 * Go fmt: `fmt.Sprintf` for the operands that OPA hands to it: int, *big.Int, float64 and string.
 */
import { formatBigInteger, formatFloatVerb, formatInteger } from './go-fmt-number.ts'
import { quoteGo } from './go-text.ts'

export type Argument = bigint | number | string
/** An integer beyond 64 bits is a *big.Int in Go, and has formats of its own. */
const INT64 = 2n ** 63n

export interface Format {
  verb: string
  plus: boolean
  minus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  width: number | undefined
  precision: number | undefined
}

export function sprintf(format: string, args: readonly Argument[]): string {
  return new Printer(format, args).print()
}

class Printer {
  private readonly chars: string[]
  private at = 0
  private argument = 0
  private reordered = false
  private goodIndex = true
  private indexed = false

  constructor(
    format: string,
    private readonly args: readonly Argument[],
  ) {
    this.chars = [...format]
  }

  print(): string {
    let out = ''
    while (this.at < this.chars.length) {
      const char = this.chars[this.at++] as string
      out += char === '%' ? this.directive() : char
    }
    const extra = this.reordered ? [] : this.args.slice(this.argument)
    if (extra.length > 0) out += `%!(EXTRA ${extra.map(tagged).join(', ')})`
    return out
  }

  private directive(): string {
    const format: Format = {
      verb: '',
      plus: false,
      minus: false,
      sharp: false,
      space: false,
      zero: false,
      width: undefined,
      precision: undefined,
    }
    this.goodIndex = true
    this.indexed = false
    this.flags(format)
    this.index()
    let trouble = this.width(format)
    trouble += this.precision(format)
    if (!this.indexed) this.index()
    const verb = this.chars[this.at++]
    if (verb === undefined) return `${trouble}%!(NOVERB)`
    if (verb === '%') return `${trouble}%`
    if (!this.goodIndex) return `${trouble}%!${verb}(BADINDEX)`
    if (this.argument >= this.args.length) return `${trouble}%!${verb}(MISSING)`
    return trouble + write({ ...format, verb }, this.args[this.argument++] as Argument)
  }

  private flags(format: Format): void {
    for (; this.at < this.chars.length; this.at++) {
      const char = this.chars[this.at]
      if (char === '#') format.sharp = true
      else if (char === '0') format.zero = true
      else if (char === '+') format.plus = true
      else if (char === '-') format.minus = true
      else if (char === ' ') format.space = true
      else return
    }
  }

  private width(format: Format): string {
    if (this.chars[this.at] === '*') {
      this.at++
      const width = this.star()
      this.indexed = false
      if (width === undefined) return '%!(BADWIDTH)'
      if (width < 0) format.minus = true
      format.width = Math.abs(width)
      return ''
    }
    format.width = this.digits()
    // "%[3]2d" is an index in a wrong place.
    if (this.indexed && format.width !== undefined) this.goodIndex = false
    return ''
  }

  private precision(format: Format): string {
    if (this.chars[this.at] !== '.') return ''
    this.at++
    if (this.indexed) this.goodIndex = false
    this.index()
    if (this.chars[this.at] === '*') {
      this.at++
      const precision = this.star()
      this.indexed = false
      if (precision === undefined) return '%!(BADPREC)'
      // A negative precision is none.
      format.precision = precision < 0 ? undefined : precision
      return precision < 0 ? '%!(BADPREC)' : ''
    }
    format.precision = this.digits() ?? 0
    return ''
  }

  /** An operand that is a width or a precision. */
  private star(): number | undefined {
    const value = this.args[this.argument]
    if (this.argument >= this.args.length) return undefined
    this.argument++
    return typeof value === 'bigint' && value <= 1_000_000n && value >= -1_000_000n
      ? Number(value)
      : undefined
  }

  private digits(): number | undefined {
    const start = this.at
    while (/^\d$/.test(this.chars[this.at] ?? '')) this.at++
    if (this.at === start) return undefined
    const value = Number(this.chars.slice(start, this.at).join(''))
    return value <= 1_000_000 ? value : undefined
  }

  /** `[3]`: the third operand is next. */
  private index(): void {
    if (this.chars[this.at] !== '[') return
    this.reordered = true
    const close = this.chars.indexOf(']', this.at)
    if (close < 0) {
      this.goodIndex = false
      this.at++
      return
    }
    const text = this.chars.slice(this.at + 1, close).join('')
    this.at = close + 1
    const position = /^\d+$/.test(text) ? Number(text) - 1 : -1
    if (position < 0 || position >= this.args.length) {
      this.goodIndex = false
      return
    }
    this.argument = position
    this.indexed = true
  }
}

function write(format: Format, value: Argument): string {
  if (format.verb === 'T') return pad(typeOf(value), format)
  return (
    formatted(format, value) ??
    `%!${format.verb}(${typeOf(value)}=${formatted({ ...format, verb: 'v' }, value)})`
  )
}

/** @returns undefined when values of this type do not have the verb */
function formatted(given: Format, value: Argument): string | undefined {
  // %+v and %#v are about structures and quotes, not about signs and points.
  const format =
    given.verb === 'v' && !(typeof value === 'bigint' && isBig(value)) ? { ...given, plus: false } : given
  if (typeof value === 'string') return formatString(value, format)
  if (typeof value === 'number') return formatFloatVerb(value, format)
  return isBig(value) ? formatBigInteger(value, format) : formatInteger(value, format)
}

function formatString(value: string, format: Format): string | undefined {
  const chars = format.precision === undefined ? value : [...value].slice(0, format.precision).join('')
  switch (format.verb) {
    case 'v':
      return pad(format.sharp ? quoteGo(value) : chars, format)
    case 's':
      return pad(chars, format)
    case 'q':
      return pad(format.sharp && canBackquote(chars) ? `\`${chars}\`` : quoteGo(chars, format.plus), format)
    case 'x':
    case 'X':
      return pad(hex(value, format), format)
    default:
      return undefined
  }
}

function hex(value: string, { verb, precision, sharp, space }: Format): string {
  const bytes = Buffer.from(value).subarray(0, precision ?? value.length * 3)
  const prefix = sharp && bytes.length > 0 ? '0x' : ''
  const pairs = [...bytes].map(byte => byte.toString(16).padStart(2, '0'))
  const text = prefix + pairs.join(space ? ` ${prefix}` : '')
  return verb === 'X' ? text.toUpperCase() : text
}

function canBackquote(text: string): boolean {
  return ![...text].some(
    char => char === '`' || char === '\ufeff' || (char < ' ' && char !== '\t') || char === '\x7f',
  )
}

/** To the width, counted in code points. */
export function pad(text: string, { width, minus, zero }: Format): string {
  const missing = (width ?? 0) - [...text].length
  if (missing <= 0) return text
  if (minus) return text + ' '.repeat(missing)
  return (zero ? '0' : ' ').repeat(missing) + text
}

function isBig(value: bigint): boolean {
  return value >= INT64 || value < -INT64
}

function typeOf(value: Argument): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'number') return 'float64'
  return isBig(value) ? '*big.Int' : 'int'
}

function tagged(value: Argument): string {
  const plain: Format = {
    verb: 'v',
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    width: undefined,
    precision: undefined,
  }
  return `${typeOf(value)}=${write(plain, value)}`
}
