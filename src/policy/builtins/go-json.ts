/**
 * Go JSON: values as `encoding/json` writes them, and read with every digit.
 *
 * Sets become lists in Rego's order and keys that are no strings become their own JSON, as in OPA's
 * `ast.JSON`. `<`, `>` and `&` are escaped, as Go does for the sake of HTML.
 */
import { readTerm } from '../values/terms.ts'
import { compareStrings, RegoNumber, RegoObject, RegoSet, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'

const ESCAPED = /[<>&\u2028\u2029\x7f]|\p{Surrogate}/gu

export function jsonString(text: string): string {
  return JSON.stringify(text.replace(/\p{Surrogate}/gu, '\ufffd')).replace(ESCAPED, char =>
    char === '\x7f' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** @param indent - For each level; undefined for none and no line breaks. `prefix` begins each line but the first. */
export function marshal(value: Value, indent?: string, prefix = ''): string {
  const pretty = indent !== undefined
  return write(value, pretty ? `\n${prefix}` : '')

  function write(item: Value, line: string): string {
    if (typeof item === 'string') return jsonString(item)
    if (item === null || typeof item === 'boolean') return String(item)
    if (item instanceof RegoNumber) return item.text
    const inner = pretty ? line + indent : ''
    if (item instanceof RegoObject) {
      const colon = pretty ? ': ' : ':'
      const members = entries(item).map(([key, member]) => jsonString(key) + colon + write(member, inner))
      return enclose('{', members, '}', line, inner)
    }
    const members = item instanceof RegoSet ? item.sorted() : item
    return enclose(
      '[',
      members.map(member => write(member, inner)),
      ']',
      line,
      inner,
    )
  }
}

function enclose(
  open: string,
  members: readonly string[],
  close: string,
  line: string,
  inner: string,
): string {
  if (members.length === 0) return open + close
  return open + members.map(member => inner + member).join(',') + line + close
}

function entries(object: RegoObject): [string, Value][] {
  const named = [...object].map(([key, value]): [string, Value] => [
    typeof key === 'string' ? key : marshal(key),
    value,
  ])
  return named.sort((a, b) => compareStrings(a[0], b[0]))
}

/** A value as JSON can hold it: lists for sets, strings for keys. */
export function asJson(value: Value): Value {
  if (Array.isArray(value)) return value.map(asJson)
  if (value instanceof RegoSet) return value.sorted().map(asJson)
  if (value instanceof RegoObject)
    return new RegoObject(entries(value).map(([key, member]) => [key, asJson(member)] as const))
  return value
}

/** @throws BuiltinError when the text is not exactly one JSON value */
export function unmarshal(text: string): Value {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new BuiltinError('invalid JSON', { cause })
  }
  return readTerm(text)
}

/** A value as plain JavaScript; numbers become float64, which loses what does not fit. */
export function toPlain(value: Value): unknown {
  if (Array.isArray(value)) return value.map(toPlain)
  if (value instanceof RegoNumber) return value.toNumber()
  if (value instanceof RegoSet) return value.sorted().map(toPlain)
  if (value instanceof RegoObject)
    return Object.fromEntries(entries(value).map(([key, member]) => [key, toPlain(member)]))
  return value
}

/** Plain JavaScript as a value; what is undefined is left out. */
export function fromPlain(value: unknown): Value {
  if (typeof value === 'number' || typeof value === 'bigint') return RegoNumber.of(value)
  if (Array.isArray(value)) return value.map(fromPlain)
  if (value instanceof RegoNumber || value instanceof RegoObject || value instanceof RegoSet) return value
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    return new RegoObject(members.map(([key, member]) => [key, fromPlain(member)] as const))
  }
  return value as null | boolean | string
}
