/**
 * Go text: strings quoted as `strconv.Quote` does, and values as OPA prints them: `{"a": [1, true]}`.
 */
import { RegoNumber, type RegoObject, RegoSet, type Value } from '../values/values.ts'

const NAMED: Record<string, string> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
}
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

/** @param ascii - As `strconv.QuoteToASCII`: what is not ASCII is escaped too. */
export function quoteGo(text: string, ascii = false, mark = '"'): string {
  let quoted = mark
  for (const char of text) quoted += char === mark ? `\\${mark}` : (NAMED[char] ?? escaped(char, ascii))
  return quoted + mark
}

function escaped(char: string, ascii: boolean): string {
  const code = char.codePointAt(0) as number
  if (PRINTABLE.test(char) && (code < 0x80 || !ascii)) return char
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}

/** A value as OPA's `Term.String()`. */
export function printed(value: Value): string {
  if (typeof value === 'string') return quoteGo(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (value instanceof RegoNumber) return value.text
  if (Array.isArray(value)) return `[${value.map(printed).join(', ')}]`
  if (value instanceof RegoSet)
    return value.size === 0 ? 'set()' : `{${value.sorted().map(printed).join(', ')}}`
  return `{${(value as RegoObject)
    .sorted()
    .map(([k, v]) => `${printed(k)}: ${printed(v)}`)
    .join(', ')}}`
}
