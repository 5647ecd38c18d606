/** YAML emit: a JSON value as YAML, in the style of the library that OPA uses. */
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { formatFloat } from './go-float.ts'
import { isAmbiguous } from './yaml-scalars.ts'

/** Lists within maps are not indented; keys are in the order in which a person counts: a2 before a10. */
export function emitYaml(value: Value): string {
  return `${node(value, { indent: 0, column: -1, afterDash: false }).replace(/^[ \n]/, '')}\n`
}

const STEP = 2
/** A space beyond this column becomes a line break, where the text stays the same. */
const WIDTH = 80
/** A longer key cannot stand before its colon. */
const LONGEST_KEY = 128

interface Place {
  indent: number
  /** Where the text goes on. */
  column: number
  /** Directly within a list: the first line stands behind the dash. */
  afterDash: boolean
}

/** @returns what follows a key or a dash: on the same line, or a line break and lines of its own */
function node(value: Value, place: Place): string {
  if (value instanceof RegoObject)
    return value.size === 0 ? ' {}' : layOut(mapLines(value, place.indent), place)
  if (Array.isArray(value)) return value.length === 0 ? ' []' : layOut(listLines(value, place.indent), place)
  if (typeof value === 'string') return ` ${text(value, place)}`
  return ` ${value instanceof RegoNumber ? number(value) : value}`
}

function mapLines(object: RegoObject, indent: number): string[] {
  const entries = [...object].map(([key, value]) => [key as string, value] as const)
  entries.sort((a, b) => (comesBefore(a[0], b[0]) ? -1 : 1))
  return entries.map(([key, value]) => {
    const before = keyBefore(key, indent)
    const column = indent + before.length - before.lastIndexOf('\n') - 1
    return (
      before +
      node(value, { indent: Array.isArray(value) ? indent : indent + STEP, column, afterDash: false })
    )
  })
}

/** A key with its colon; one that is long or has line breaks is introduced by a question mark. */
function keyBefore(key: string, indent: number): string {
  if (!key.includes('\n') && key.length <= LONGEST_KEY)
    return `${isAmbiguous(key) ? double(key) : unbroken(key)}:`
  return `? ${text(key, { indent: indent + STEP, column: indent + STEP, afterDash: false })}\n${' '.repeat(indent)}:`
}

function listLines(values: readonly Value[], indent: number): string[] {
  return values.map(
    value => `-${node(value, { indent: indent + STEP, column: indent + 1, afterDash: true })}`,
  )
}

function layOut(lines: readonly string[], { indent, afterDash }: Place): string {
  const separator = `\n${' '.repeat(indent)}`
  return (afterDash ? ' ' : separator) + lines.join(separator)
}

/** Integers of 64 bits as they are, anything else as a float64. */
function number(value: RegoNumber): string {
  const whole = /^-?\d+$/.test(value.text) ? BigInt(value.text) : undefined
  if (whole !== undefined && whole < 2n ** 64n && whole >= -(2n ** 63n)) return whole.toString()
  return formatFloat(value.toNumber(), 'g', -1)
}

function text(value: string, place: Place): string {
  if (value.includes('\n') && canBeBlock(value)) return block(value, place.indent)
  return folded(value.includes('\n') || isAmbiguous(value) ? double(value) : unbroken(value), place)
}

function unbroken(value: string): string {
  if (canBePlain(value)) return value
  return SPECIAL.test(value) ? double(value) : `'${value.replaceAll("'", "''")}'`
}

/** Breaks lines that are too long at single spaces, as the library does. */
function folded(written: string, { indent, column }: Place): string {
  const separator = `\n${' '.repeat(Math.max(indent, STEP))}`
  let at = column + 1
  let out = ''
  for (let i = 0; i < written.length; i++) {
    const inside = i > 1 && i < written.length - 2 && written[i] === ' '
    if (inside && at > WIDTH && written[i - 1] !== ' ' && written[i + 1] !== ' ') {
      out += separator
      at = separator.length - 1
    } else {
      out += written[i]
      at++
    }
  }
  return out
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must be escaped
const SPECIAL = /[\x00-\x09\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]|[\u{10000}-\u{10ffff}]/u

function canBePlain(value: string): boolean {
  if (value === '' || SPECIAL.test(value) || /[\x85\u2028\u2029]/.test(value)) return false
  if (/^\s|\s$/.test(value) || /^(?:---|\.\.\.)/.test(value)) return false
  return !/^[#,[\]{}&*!|>'"%@`]|^[-?:](?: |$)|: |:$| #/.test(value)
}

function canBeBlock(value: string): boolean {
  return !SPECIAL.test(value) && !/ \n| $/.test(value)
}

function block(value: string, indent: number): string {
  const chomping = !value.endsWith('\n') ? '-' : value === '\n' || value.endsWith('\n\n') ? '+' : ''
  const hint = /^[ \n]/.test(value) ? String(STEP) : ''
  const lines = value
    .replace(/\n$/, '')
    .split('\n')
    .map(line => (line === '' ? '' : ' '.repeat(Math.max(indent, STEP)) + line))
  return `|${hint}${chomping}\n${lines.join('\n')}`
}

const ESCAPES: Record<string, string> = {
  '\\': '\\\\',
  '"': '\\"',
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '\x85': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
  '\ufeff': '\\uFEFF',
}

function double(value: string): string {
  const chars = [...value].map(char => ESCAPES[char] ?? (SPECIAL.test(char) ? escaped(char) : char))
  return `"${chars.join('')}"`
}

function escaped(char: string): string {
  const code = (char.codePointAt(0) as number).toString(16).toUpperCase()
  if (code.length <= 2) return `\\x${code.padStart(2, '0')}`
  return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\U${code.padStart(8, '0')}`
}

/** Runs of digits are compared as numbers, letters come after all else. */
function comesBefore(a: string, b: string): boolean {
  const [x, y] = [[...a], [...b]]
  let digits = false
  for (let i = 0; i < x.length && i < y.length; i++) {
    const [p, q] = [x[i] as string, y[i] as string]
    if (p === q) {
      digits = isDigit(p)
      continue
    }
    const [pLetter, qLetter] = [isLetter(p), isLetter(q)]
    if (pLetter && qLetter) return p < q
    if (pLetter || qLetter) return digits ? pLetter : qLetter
    return numericallyBefore(x, y, i)
  }
  return x.length < y.length
}

function numericallyBefore(x: readonly string[], y: readonly string[], at: number): boolean {
  const [p, q] = [x[at] as string, y[at] as string]
  const runs = [x, y].map(chars => /^\d*/.exec(chars.slice(at).join(''))?.[0] ?? '') as [string, string]
  let before = [...x.slice(0, at)].reverse().findIndex(char => !isDigit(char))
  if (before < 0) before = at
  const [first, second] = runs.map(run => BigInt(`0${x.slice(at - before, at).join('')}${run}`)) as [
    bigint,
    bigint,
  ]
  if (first !== second) return first < second
  if (runs[0].length !== runs[1].length) return runs[0].length < runs[1].length
  return p < q
}

function isDigit(char: string): boolean {
  return /\p{Nd}/u.test(char)
}

function isLetter(char: string): boolean {
  return /\p{L}/u.test(char)
}
