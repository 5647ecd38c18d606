/** DER: ASN.1 values as they stand in certificates and keys (X.690). */
import { BuiltinError } from './builtin.ts'

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  bmp: 0x1e,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const

/** The tag of what is numbered in its context, `[n]`; constructed ones hold other values. */
export function contextTag(n: number, constructed = true): number {
  return (constructed ? 0xa0 : 0x80) | n
}

export class Der {
  constructor(
    readonly tag: number,
    /** The value with its tag and length. */
    readonly whole: Buffer,
    readonly content: Buffer,
  ) {}

  /** @throws BuiltinError when something follows the value */
  static read(bytes: Buffer): Der {
    const value = Der.first(bytes)
    if (value.whole.length !== bytes.length) throw malformed()
    return value
  }

  /** The value that a text of bytes begins with. */
  static first(bytes: Buffer): Der {
    const [tag, short] = [bytes[0], bytes[1]]
    if (tag === undefined || short === undefined) throw malformed()
    const more = short > 0x80 ? short & 0x7f : 0
    // An unknown tag form, an indefinite length, and a length of more than four bytes are not DER of ours.
    if ((tag & 0x1f) === 0x1f || short === 0x80 || more > 4 || bytes.length < 2 + more) throw malformed()
    const length = more === 0 ? short : bytes.readUIntBE(2, more)
    const end = 2 + more + length
    if (end > bytes.length) throw malformed()
    return new Der(tag, bytes.subarray(0, end), bytes.subarray(2 + more, end))
  }

  children(): Der[] {
    const children: Der[] = []
    for (let rest = this.content; rest.length > 0; ) {
      const child = Der.first(rest)
      children.push(child)
      rest = rest.subarray(child.whole.length)
    }
    return children
  }

  /** @throws BuiltinError when it is of another kind */
  expect(tag: number): this {
    if (this.tag !== tag) throw malformed()
    return this
  }

  integer(): bigint {
    this.expect(TAG.integer)
    if (this.content.length === 0) throw malformed()
    return BigInt.asIntN(this.content.length * 8, BigInt(`0x${this.content.toString('hex')}`))
  }

  boolean(): boolean {
    return this.expect(TAG.boolean).content[0] !== 0
  }

  oid(): number[] {
    const parts: number[] = []
    let value = 0
    for (const byte of this.expect(TAG.oid).content) {
      value = value * 128 + (byte & 0x7f)
      if (byte < 0x80) {
        parts.push(value)
        value = 0
      }
    }
    const [first = 0, ...rest] = parts
    const root = Math.min(Math.floor(first / 40), 2)
    return [root, first - root * 40, ...rest]
  }

  /** The bits of a bit string, as whole bytes. */
  bits(): Buffer {
    return this.expect(TAG.bitString).content.subarray(1)
  }

  octets(): Buffer {
    return this.expect(TAG.octetString).content
  }

  /** Any of ASN.1's strings. */
  text(): string {
    if (this.tag === TAG.bmp) return Buffer.from(this.content).swap16().toString('utf16le')
    return this.content.toString(this.tag === TAG.utf8 ? 'utf8' : 'latin1')
  }

  /** Seconds since the epoch, of a UTCTime or a GeneralizedTime. */
  time(): number {
    const text = this.content.toString('latin1')
    const short = this.tag === TAG.utcTime
    const match = (
      short ? /^(\d{2})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
    ).exec(text)
    if (!match) throw malformed()
    const [year, ...rest] = match.slice(1).map(Number) as [number, number, number, number, number, number]
    const full = short ? (year < 50 ? 2000 + year : 1900 + year) : year
    return Date.UTC(full, rest[0] - 1, rest[1], rest[2], rest[3], rest[4]) / 1000
  }
}

export function malformed(): BuiltinError {
  return new BuiltinError('x509: malformed certificate')
}
