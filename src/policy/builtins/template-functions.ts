/** The functions of Go's `text/template`: what is true, equal, in order, and what it looks like printed. */
import {
  compareNumbers,
  compareStrings,
  equal,
  RegoNumber,
  RegoObject,
  type Value,
} from '../values/values.ts'
import { BuiltinError, string } from './builtin.ts'
import { escapeQuery } from './encoding.ts'
import { type Argument, sprintf } from './go-fmt.ts'

/** A number of the template's own; those of the data are texts to Go, `json.Number`. */
export class Constant extends RegoNumber {
  constructor(readonly value: bigint | number) {
    super(String(value))
  }
}

export function truth(value: Value): boolean {
  if (value === null) return false
  if (value instanceof Constant) return Number(value.value) !== 0
  if (value instanceof RegoNumber) return value.text !== ''
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof RegoObject) return value.size > 0
  return Boolean(value)
}

/** As Go's `%v`. */
export function printed(value: Value): string {
  if (value === null) return '<no value>'
  return inner(value)
}

function inner(value: Value): string {
  if (value === null) return '<nil>'
  if (value instanceof RegoNumber) return value.text
  if (Array.isArray(value)) return `[${value.map(inner).join(' ')}]`
  if (value instanceof RegoObject)
    return `map[${value
      .sorted()
      .map(([k, v]) => `${inner(k)}:${inner(v)}`)
      .join(' ')}]`
  return String(value)
}

type Operand = () => Value

/** @param operands - Worked out as they are needed: `and` and `or` leave off where they know. */
export function callFunction(name: string, operands: readonly Operand[]): Value {
  if (name === 'and' || name === 'or') return firstWhere(operands, name === 'or')
  const run = FUNCTIONS[name]
  if (!run) throw failure(`function ${JSON.stringify(name)} not defined`)
  return run(operands.map(operand => operand()))
}

function firstWhere(operands: readonly Operand[], wanted: boolean): Value {
  let value: Value = null
  for (const operand of operands) {
    value = operand()
    if (truth(value) === wanted) return value
  }
  return value
}

const FUNCTIONS: Record<string, (operands: Value[]) => Value> = {
  not: ([value]) => !truth(value as Value),
  len: ([value]) => new Constant(BigInt(lengthOf(value as Value))),
  index: ([value, ...keys]) => keys.reduce(indexed, value as Value),
  slice: ([value, from, to]) => sliced(value as Value, from, to),
  print: operands =>
    operands
      .map((value, i) => (i > 0 && spaced(operands[i - 1] as Value, value) ? ' ' : '') + inner(value))
      .join(''),
  println: operands => `${operands.map(inner).join(' ')}\n`,
  printf: ([format, ...operands]) => sprintf(string([format as Value], 0), operands.map(argument)),
  html: operands =>
    operands
      .map(inner)
      .join('')
      .replace(/["'&<>\0]/g, char => HTML[char] as string),
  urlquery: operands => escapeQuery(operands.map(inner).join('')),
  js: operands =>
    operands
      .map(inner)
      .join('')
      .replace(
        /[\\'"<>&=\n\r\t]/g,
        char => JS[char] ?? `\\u00${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
      ),
  eq: ([first, ...others]) => others.some(other => same(first as Value, other)),
  ne: ([a, b]) => !same(a as Value, b as Value),
  lt: ([a, b]) => order(a, b) < 0,
  le: ([a, b]) => order(a, b) <= 0,
  gt: ([a, b]) => order(a, b) > 0,
  ge: ([a, b]) => order(a, b) >= 0,
}

const HTML: Record<string, string> = {
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\0': '\ufffd',
}
const JS: Record<string, string> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

function argument(value: Value): Argument {
  if (value instanceof Constant) return value.value
  return typeof value === 'string' ? value : inner(value)
}

/** Between operands where neither is a text. */
function spaced(a: Value, b: Value): boolean {
  return typeof a !== 'string' && typeof b !== 'string'
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (value instanceof RegoNumber && !(value instanceof Constant)) return value.text.length
  if (Array.isArray(value)) return value.length
  if (value instanceof RegoObject) return value.size
  throw failure('len of a value without length')
}

function indexed(value: Value, key: Value): Value {
  if (value instanceof RegoObject)
    return typeof key === 'string' ? (value.get(key) ?? null) : fail('cannot index map')
  const i = key instanceof Constant ? Number(key.value) : Number.NaN
  if (Array.isArray(value)) return value[i] ?? fail('index out of range')
  if (typeof value === 'string')
    return new Constant(BigInt(Buffer.from(value)[i] ?? fail('index out of range')))
  return fail("can't index item")
}

function sliced(value: Value, from: Value | undefined, to: Value | undefined): Value {
  const [start, end] = [from, to].map(bound => (bound instanceof Constant ? Number(bound.value) : undefined))
  if (Array.isArray(value)) return value.slice(start, end)
  if (typeof value === 'string') return Buffer.from(value).subarray(start, end).toString()
  return fail("can't slice item")
}

/** Numbers of the data are texts to Go: they equal texts, and no number of the template. */
function basic(value: Value): Value {
  return value instanceof RegoNumber && !(value instanceof Constant) ? value.text : value
}

function same(a: Value, b: Value): boolean {
  const [x, y] = [basic(a), basic(b)]
  if (x === null || y === null) return x === y
  if (kindOf(x) !== kindOf(y)) return fail('incompatible types for comparison')
  return equal(x, y)
}

function order(a: Value | undefined, b: Value | undefined): number {
  const [x, y] = [basic(a as Value), basic(b as Value)]
  if (x instanceof Constant && y instanceof Constant && kindOf(x) === kindOf(y)) return compareNumbers(x, y)
  if (typeof x === 'string' && typeof y === 'string') return compareStrings(x, y)
  return fail('incompatible types for comparison')
}

function kindOf(value: Value): string {
  if (value instanceof Constant) return typeof value.value
  if (typeof value === 'object') return fail('non-comparable type')
  return typeof value
}

function fail(message: string): never {
  throw failure(message)
}

export function failure(message: string): BuiltinError {
  return new BuiltinError(`template: ${message}`)
}
