/**
 * Canonical JSON: the one text of a document that OPA hashes when it signs a bundle.
 *
 * Keys by the order of their UTF-8, no white space, numbers with the digits that they came with, strings as
 * Go's encoder writes them when it does not mind HTML.
 */
import { scanJson } from '../../contract/json-text.ts'
import { readTerm } from './terms.ts'
import { compareStrings, RegoNumber, type RegoObject, type Value } from './values.ts'
import { withoutLoneSurrogates } from './well-formed.ts'

/**
 * @param text - A JSON document.
 * @returns its value, every digit of its numbers kept.
 * @throws SyntaxError when it is not one, or names a key twice: readers differ in which one they take, so a
 *   signature would hold for another document than the policy sees.
 */
export function readJson(text: string): Value {
  JSON.parse(text)
  const wellFormed = withoutLoneSurrogates(text)
  if (scanJson(wellFormed).duplicateKey) throw new SyntaxError('a key is there twice')
  return readTerm(wellFormed)
}

export function canonicalJson(value: Value): string {
  if (typeof value === 'string') return goString(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (value instanceof RegoNumber) return value.text
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  const members = [...(value as RegoObject)] as [string, Value][]
  return `{${members
    .sort(([a], [b]) => compareStrings(a, b))
    .map(([key, member]) => `${goString(key)}:${canonicalJson(member)}`)
    .join()}}`
}

/** The line separators are escaped even then, as in JavaScript they once ended a line. */
function goString(text: string): string {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, char => `\\u${char.charCodeAt(0).toString(16)}`)
}
