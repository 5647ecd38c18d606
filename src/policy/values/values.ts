/**
 * Values: what a Rego term is once it has left the WebAssembly memory.
 *
 * JSON alone cannot hold them: a set is not a list, an object's key may be anything, and a number has
 * as many digits as it was written with (`time.now_ns` does not fit a float64). So a number keeps its
 * text, and sets and objects are keyed by the canonical text of their members: `1.0` and `1` are one key.
 */

export type Value = null | boolean | string | RegoNumber | Value[] | RegoObject | RegoSet

export type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'set'

/**
 * Digits, and zeros before or after them, that a number may have in arithmetic: a hostile exponent must not
 * make a hostile amount of digits, and the module's own multiplication breaks off beyond twice as many.
 */
export const MOST_DIGITS = 4000

/** A number, exact: the text it was written with. */
export class RegoNumber {
  constructor(readonly text: string) {}

  static of(value: number | bigint): RegoNumber {
    return new RegoNumber(Object.is(value, -0) ? '0' : String(value).replace('e+', 'e'))
  }

  toNumber(): number {
    return Number(this.text)
  }

  /**
   * @returns the integer, or undefined when the number has a fraction (`1.0` and `1e3` are integers) or more
   *   digits than arithmetic takes.
   */
  toBigInt(): bigint | undefined {
    if (this.text.length > MOST_DIGITS) return undefined
    if (PLAIN_INTEGER.test(this.text)) return BigInt(this.text)
    const { negative, digits, exponent } = decimal(this.text)
    if (exponent < 0 || exponent > MOST_DIGITS) return undefined
    const magnitude = BigInt(digits) * 10n ** BigInt(exponent)
    return negative ? -magnitude : magnitude
  }

  isInteger(): boolean {
    return PLAIN_INTEGER.test(this.text) || decimal(this.text).exponent >= 0
  }
}

export class RegoSet {
  private readonly members = new Map<string, Value>()

  constructor(values: Iterable<Value> = []) {
    for (const value of values) this.add(value)
  }

  get size(): number {
    return this.members.size
  }

  add(value: Value): void {
    const key = keyOf(value)
    if (!this.members.has(key)) this.members.set(key, value)
  }

  has(value: Value): boolean {
    return this.members.has(keyOf(value))
  }

  /** @returns the members in Rego's order. */
  sorted(): Value[] {
    return [...this.members.values()].sort(compare)
  }

  [Symbol.iterator](): IterableIterator<Value> {
    return this.members.values()
  }
}

export class RegoObject {
  private readonly members = new Map<string, [Value, Value]>()

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }

  /** An object with the given string keys. */
  static of(fields: Readonly<Record<string, Value>>): RegoObject {
    return new RegoObject(Object.entries(fields))
  }

  get size(): number {
    return this.members.size
  }

  get(key: Value): Value | undefined {
    return this.members.get(keyOf(key))?.[1]
  }

  has(key: Value): boolean {
    return this.members.has(keyOf(key))
  }

  set(key: Value, value: Value): void {
    this.members.set(keyOf(key), [key, value])
  }

  delete(key: Value): void {
    this.members.delete(keyOf(key))
  }

  /** @returns the entries in Rego's order of their keys. */
  sorted(): [Value, Value][] {
    return [...this.members.values()].sort((a, b) => compare(a[0], b[0]))
  }

  [Symbol.iterator](): IterableIterator<[Value, Value]> {
    return this.members.values()
  }
}

export function typeName(value: Value): TypeName {
  if (value === null) return 'null'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (value instanceof RegoNumber) return 'number'
  if (value instanceof RegoObject) return 'object'
  return value instanceof RegoSet ? 'set' : 'array'
}

export function equal(a: Value, b: Value): boolean {
  return keyOf(a) === keyOf(b)
}

/** One text per value, whatever way its numbers and members were written. */
export function keyOf(value: Value): string {
  if (typeof value === 'string') return `"${value}`
  if (value === null || typeof value === 'boolean') return String(value)
  if (value instanceof RegoNumber) return canonicalNumber(value.text)
  if (Array.isArray(value)) return `[${value.map(nestedKey).join()}]`
  if (value instanceof RegoSet) return `<${[...value].map(nestedKey).sort().join()}>`
  return `{${[...value]
    .map(([k, v]) => `${nestedKey(k)}:${nestedKey(v)}`)
    .sort()
    .join()}}`
}

// Inside a composite a string needs its closing quote, or ["a,b"] would be ["a","b"].
function nestedKey(value: Value): string {
  return typeof value === 'string' ? JSON.stringify(value) : keyOf(value)
}

const ORDER: Record<TypeName, number> = {
  null: 0,
  boolean: 1,
  number: 2,
  string: 3,
  array: 4,
  object: 5,
  set: 6,
}

/** Rego's total order: by type, then by value. */
export function compare(a: Value, b: Value): number {
  const type = typeName(a)
  const byType = ORDER[type] - ORDER[typeName(b)]
  if (byType !== 0) return byType
  switch (type) {
    case 'null':
      return 0
    case 'boolean':
      return Number(a) - Number(b)
    case 'number':
      return compareNumbers(a as RegoNumber, b as RegoNumber)
    case 'string':
      return compareStrings(a as string, b as string)
    case 'array':
      return compareLists(a as Value[], b as Value[])
    case 'set':
      return compareLists((a as RegoSet).sorted(), (b as RegoSet).sorted())
    case 'object':
      return compareObjects(a as RegoObject, b as RegoObject)
  }
}

/** By code point, as Go compares UTF-8; `<` would compare UTF-16 and put U+FFFD after U+1F600. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  if (!SURROGATE.test(a) && !SURROGATE.test(b)) return a < b ? -1 : 1
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compare(a[i] as Value, b[i] as Value)
    if (order !== 0) return order
  }
  return a.length - b.length
}

// Key by key, each followed by its value: OPA's order, not "all keys, then all values".
function compareObjects(a: RegoObject, b: RegoObject): number {
  return compareLists(a.sorted().flat(), b.sorted().flat())
}

export function compareNumbers(a: RegoNumber, b: RegoNumber): number {
  const x = a.toNumber()
  const y = b.toNumber()
  if (x !== y && Number.isFinite(x) && Number.isFinite(y)) return x < y ? -1 : 1
  return compareDecimals(decimal(a.text), decimal(b.text))
}

/** A decimal number taken apart: ±digits × 10^exponent, digits without outer zeros. */
interface Decimal {
  negative: boolean
  digits: string
  exponent: number
}

const PLAIN_INTEGER = /^-?\d+$/
const SURROGATE = /[\ud800-\udfff]/

function decimal(text: string): Decimal {
  const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text)
  if (!match) throw new SyntaxError(`not a number: ${text}`)
  const fraction = match[3] ?? ''
  const all = ((match[2] ?? '') + fraction).replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  if (digits === '') return { negative: false, digits: '0', exponent: 0 }
  const exponent = Number(match[4] ?? 0) - fraction.length + all.length - digits.length
  return { negative: match[1] === '-', digits, exponent }
}

function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.digits === '0' || b.digits === '0' || a.negative !== b.negative) return signOf(a) - signOf(b)
  const size = a.digits.length + a.exponent - (b.digits.length + b.exponent)
  const width = Math.max(a.digits.length, b.digits.length)
  const [x, y] = [a.digits.padEnd(width, '0'), b.digits.padEnd(width, '0')]
  const magnitude = size !== 0 ? size : x === y ? 0 : x < y ? -1 : 1
  return a.negative ? -magnitude : magnitude
}

function signOf(a: Decimal): number {
  return a.digits === '0' ? 0 : a.negative ? -1 : 1
}

function canonicalNumber(text: string): string {
  if (text.length < 16 && PLAIN_INTEGER.test(text) && !/^-?0/.test(text)) return text
  const { negative, digits, exponent } = decimal(text)
  const sign = negative ? '-' : ''
  if (exponent >= 0 && digits.length + exponent < 16) return sign + digits + '0'.repeat(exponent)
  return `${sign}${digits}e${exponent}`
}
