/** Numbers: ranges, chance, units, versions and UUIDs. */
import { createHash } from 'node:crypto'
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { type Builtin, BuiltinError, type Builtins, integer, string, typeError } from './builtin.ts'
import { parseBytes, parseUnits } from './units.ts'

/** A list that fills the module's memory is refused before it is made. */
const LONGEST_RANGE = 1_000_000n

export const numbers: Builtins = {
  to_number: ([value]) => toNumber(value as Value),
  'numbers.range_step': operands => range(integer(operands, 0), integer(operands, 1), integer(operands, 2)),
  'rand.intn': (operands, { seed }) => {
    const text = string(operands, 0)
    const size = integer(operands, 1)
    if (size === 0n) return RegoNumber.of(0)
    const bound = size < 0n ? -size : size
    return RegoNumber.of(drawn(seed, `intn ${text} ${bound}`).readBigUInt64BE() % bound)
  },
  'uuid.rfc4122': (operands, { seed }) => uuid(drawn(seed, `uuid ${string(operands, 0)}`)),
  'uuid.parse': operands => parseUuid(string(operands, 0)),
  'units.parse': operands => parseUnits(string(operands, 0)),
  'units.parse_bytes': operands => parseBytes(string(operands, 0)),
  'semver.is_valid': ([text]) => typeof text === 'string' && parseVersion(text) !== undefined,
  'semver.compare': semverCompare(),
}

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)([eE][+-]?\d+)?$/
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/

/** What Go's ParseFloat takes, with all digits; the module takes `1e`, and answers that. */
function toNumber(value: Value): RegoNumber {
  if (value === null || typeof value === 'boolean') return RegoNumber.of(value ? 1 : 0)
  if (value instanceof RegoNumber) return value
  if (typeof value !== 'string') throw typeError(0, 'one of {null, boolean, number, string}', value)
  const decimal = DECIMAL.exec(value)
  const hexadecimal = HEXADECIMAL.exec(value)
  if (decimal && `${decimal[2]}${decimal[3]}` !== '') return decimalNumber(decimal)
  if (hexadecimal && `${hexadecimal[2]}${hexadecimal[3]}` !== '') return hexadecimalNumber(hexadecimal)
  throw new BuiltinError(`strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`)
}

/** As JSON writes it: `+05.` is 5. */
function decimalNumber([, sign, whole = '', fraction = '', exponent = '']: RegExpExecArray): RegoNumber {
  const digits = whole.replace(/^0+(?=\d)/, '') || '0'
  return new RegoNumber(
    `${sign === '-' ? '-' : ''}${digits}${fraction === '' ? '' : `.${fraction}`}${exponent}`,
  )
}

function hexadecimalNumber([, sign, whole = '', fraction = '', exponent]: RegExpExecArray): RegoNumber {
  const value = Number(`0x${whole}${fraction}`) * 2 ** (Number(exponent) - 4 * fraction.length)
  if (!Number.isFinite(value)) throw new BuiltinError('strconv.ParseFloat: value out of range')
  return RegoNumber.of(sign === '-' ? -value : value)
}

function range(from: bigint, to: bigint, step: bigint): Value[] {
  if (step <= 0n) throw new BuiltinError('step must be a positive integer')
  const distance = from <= to ? to - from : from - to
  if (distance / step > LONGEST_RANGE) throw new BuiltinError('the range is too long', { halt: true })
  const direction = from <= to ? step : -step
  return Array.from({ length: Number(distance / step) + 1 }, (_, i) =>
    RegoNumber.of(from + direction * BigInt(i)),
  )
}

/** The same for the same decision and the same question, or a replay would decide otherwise. */
function drawn(seed: string, question: string): Buffer {
  return createHash('sha256').update(`${seed}\n${question}`).digest()
}

function uuid(bytes: Buffer): string {
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

const UUID = /^(?:urn:uuid:)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i
const DOMAINS = ['Person', 'Group', 'Org']
/** 100 ns steps from the start of the Gregorian calendar to the epoch. */
const GREGORIAN = 0x01b21dd213814000n

/** @returns undefined, as OPA, when the text is no UUID */
function parseUuid(text: string): RegoObject | undefined {
  const hex = /^\{.*\}$/.test(text) && text.length === 38 ? text.slice(1, -1) : text
  const plain = /^[0-9a-f]{32}$/i.test(hex) ? hex : UUID.exec(hex)?.slice(1).join('')
  if (plain === undefined) return undefined
  const bytes = Buffer.from(plain, 'hex')
  const version = (bytes[6] as number) >> 4
  const fields: Record<string, Value> = {
    version: RegoNumber.of(version),
    variant: variantOf(bytes[8] as number),
  }
  return RegoObject.of(version === 1 || version === 2 ? { ...fields, ...timed(bytes, version) } : fields)
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122'
  if ((byte & 0xe0) === 0xc0) return 'Microsoft'
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved'
}

function timed(bytes: Buffer, version: number): Record<string, Value> {
  const low = BigInt(bytes.readUInt32BE(0))
  const middle = BigInt(bytes.readUInt16BE(4))
  const high = BigInt(bytes.readUInt16BE(6) & 0x0fff)
  const first = bytes[10] as number
  const scope = first & 2 ? 'local' : 'global'
  const cast = first & 1 ? 'multicast' : 'unicast'
  const fields: Record<string, Value> = {
    // Go's 64 bits run over for years before 1678, and OPA answers that.
    time: RegoNumber.of(BigInt.asIntN(64, (((high << 48n) | (middle << 32n) | low) - GREGORIAN) * 100n)),
    nodeid: bytes.toString('hex', 10).replace(/..(?=.)/g, '$&-'),
    macvariables: `${scope}:${cast}`,
    clocksequence: RegoNumber.of(bytes.readUInt16BE(8) & 0x3fff),
  }
  if (version === 1) return fields
  const domain = bytes[9] as number
  return { ...fields, id: RegoNumber.of(low), domain: DOMAINS[domain] ?? `Domain${domain}` }
}

interface Version {
  core: bigint[]
  pre: string
}

const VERSION = /^v?([+-]?\d+)\.([+-]?\d+)\.([+-]?\d+)$/
const IDENTIFIERS = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/

function parseVersion(text: string): Version | undefined {
  const [release = '', ...metadata] = text.split('+')
  const dash = release.indexOf('-')
  const pre = dash < 0 ? '' : release.slice(dash + 1)
  const core = VERSION.exec(dash < 0 ? release : release.slice(0, dash))
  const sound = [metadata.join('+'), pre].every(part => part === '' || IDENTIFIERS.test(part))
  return core && sound ? { core: core.slice(1).map(BigInt), pre } : undefined
}

function semverCompare(): Builtin {
  return operands => {
    const [a, b] = [0, 1].map(position => {
      const text = string(operands, position)
      const version = parseVersion(text)
      if (!version) throw new BuiltinError(`operand ${position + 1}: string ${text} is not a valid SemVer`)
      return version
    }) as [Version, Version]
    return RegoNumber.of(compareVersions(a, b))
  }
}

function compareVersions(a: Version, b: Version): number {
  for (const [i, part] of a.core.entries()) {
    const other = b.core[i] as bigint
    if (part !== other) return part < other ? -1 : 1
  }
  if (a.pre === b.pre) return 0
  // A release is greater than what comes before it.
  if (a.pre === '' || b.pre === '') return a.pre === '' ? 1 : -1
  const [x, y] = [a.pre.split('.'), b.pre.split('.')]
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const order = compareIdentifiers(x[i] as string, y[i] as string)
    if (order !== 0) return order
  }
  return Math.sign(x.length - y.length)
}

function compareIdentifiers(a: string, b: string): number {
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)]
  if (x !== y) return x ? -1 : 1
  if (x) return BigInt(a) === BigInt(b) ? 0 : BigInt(a) < BigInt(b) ? -1 : 1
  return a === b ? 0 : a < b ? -1 : 1
}
