/**
 * Strings: those that the module asks the host for, and those that it has itself but answers otherwise
 * than OPA: `replace` with an empty text never returns, `strings.replace_n` replaces what it has just put
 * in, `format_int` gives up beyond 32 bits, `concat` takes a set in no order (only then the host is asked).
 */
import { MOST_DIGITS, RegoNumber, RegoSet, type Value } from '../values/values.ts'
import {
  array,
  type Builtin,
  BuiltinError,
  type Builtins,
  type Evaluation,
  number,
  object,
  string,
  strings as stringsIn,
  typeError,
} from './builtin.ts'
import { type Argument, sprintf } from './go-fmt.ts'
import { printed } from './go-text.ts'

export const strings: Builtins = {
  sprintf: operands => sprintf(string(operands, 0), array(operands, 1).map(argument)),
  concat: operands => stringsIn(operands, 1).join(string(operands, 0)),
  replace: (operands, evaluation) =>
    replaceAll(string(operands, 0), [[string(operands, 1), string(operands, 2)]], evaluation),
  'strings.replace_n': (operands, evaluation) => replaceAll(string(operands, 1), pairs(operands), evaluation),
  'strings.count': (operands, evaluation) =>
    RegoNumber.of(count(string(operands, 0), string(operands, 1), evaluation)),
  'strings.any_prefix_match': anyMatch((text, part) => text.startsWith(part)),
  'strings.any_suffix_match': anyMatch((text, part) => text.endsWith(part)),
  indexof_n: (operands, evaluation) =>
    positions(string(operands, 0), string(operands, 1), evaluation).map(RegoNumber.of),
  format_int: operands => {
    const base = { '2': 2, '8': 8, '10': 10, '16': 16 }[number(operands, 1).text]
    if (base === undefined) throw new BuiltinError('operand 2 must be one of {2, 8, 10, 16}')
    return truncated(number(operands, 0)).toString(base)
  },
  'internal.template_string': operands => array(operands, 0).map(interpolated).join(''),
}

/** As OPA hands it to Go's `fmt.Sprintf`. */
function argument(value: Value): Argument {
  if (typeof value === 'string') return value
  if (!(value instanceof RegoNumber)) return printed(value)
  if (value.text.length <= MOST_DIGITS && /^[+-]?\d+$/.test(value.text)) return BigInt(value.text)
  const float = value.toNumber()
  return Number.isFinite(float) ? float : value.text
}

/** In a template string, what has no value arrives as an empty set. */
function interpolated(value: Value): string {
  if (typeof value === 'string') return value
  if (!(value instanceof RegoSet)) return printed(value)
  const [member] = value
  return member === undefined ? '<undefined>' : typeof member === 'string' ? member : printed(member)
}

function pairs(operands: readonly Value[]): [string, string][] {
  return object(operands, 0)
    .sorted()
    .map(([old, replacement]) => {
      if (typeof old !== 'string') throw new BuiltinError('operand 1 non-string key found in pattern object')
      if (typeof replacement !== 'string')
        throw new BuiltinError('operand 1 non-string value found in pattern object')
      return [old, replacement]
    })
}

/** What replaces each character by a long text would not fit the module's memory. */
const LONGEST_TEXT = 64 * 1024 * 1024

/** As Go's Replacer: from left to right, at each place the first of the pairs that fits, each text once. */
function replaceAll(
  text: string,
  replacements: readonly (readonly [string, string])[],
  evaluation: Evaluation,
): string {
  const longest = replacements.reduce((most, [, replacement]) => Math.max(most, replacement.length), 1)
  if (text.length * longest > LONGEST_TEXT) throw new BuiltinError('the text is too long', { halt: true })
  const [only] = replacements
  if (replacements.length === 1 && only && only[0] !== '')
    return partsBetween(text, only[0], evaluation).join(only[1])
  let out = ''
  let emptyHere = false
  for (let at = 0; at <= text.length; ) {
    evaluation.checkpoint()
    // Nothing is found once at each place; then what else begins there may be.
    const found = replacements.find(([old]) => text.startsWith(old, at) && !(emptyHere && old === ''))
    emptyHere = found?.[0] === ''
    if (found) {
      out += found[1]
      at += found[0].length
    } else {
      const char = at < text.length ? String.fromCodePoint(text.codePointAt(at) as number) : ''
      out += char
      at += char.length || 1
    }
  }
  return out
}

function count(text: string, part: string, evaluation: Evaluation): number {
  return part === '' ? [...text].length + 1 : partsBetween(text, part, evaluation).length - 1
}

/** All places, overlapping ones too, counted in code points. */
function positions(text: string, part: string, evaluation: Evaluation): number[] {
  if (part === '') throw new BuiltinError('empty search character')
  const found: number[] = []
  let position = 0
  for (let at = 0; at < text.length; position++) {
    evaluation.checkpoint()
    if (text.startsWith(part, at)) found.push(position)
    at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1
  }
  return found
}

/** As `text.split(part)`. */
function partsBetween(text: string, part: string, evaluation: Evaluation): string[] {
  const parts: string[] = []
  let from = 0
  for (let at = find(text, part, 0, evaluation); at >= 0; at = find(text, part, from, evaluation)) {
    parts.push(text.slice(from, at))
    from = at + part.length
  }
  return [...parts, text.slice(from)]
}

/** Characters that are compared, at most, between two looks at the clock. */
const COMPARED_AT_ONCE = 2 ** 20

/** As `text.indexOf(part, from)`, which takes minutes for long texts that are made for it. */
function find(text: string, part: string, from: number, evaluation: Evaluation): number {
  const step = Math.ceil(COMPARED_AT_ONCE / part.length)
  for (let at = from; at + part.length <= text.length; at += step) {
    evaluation.checkpoint()
    const found = text.slice(at, at + step + part.length - 1).indexOf(part)
    if (found >= 0) return at + found
  }
  return -1
}

function anyMatch(fits: (text: string, part: string) => boolean): Builtin {
  return (operands, evaluation) => {
    const texts = oneOrMore(operands, 0)
    const parts = oneOrMore(operands, 1)
    return texts.some(text => {
      evaluation.checkpoint()
      return parts.some(part => fits(text, part))
    })
  }
}

function oneOrMore(operands: readonly Value[], position: number): string[] {
  const value = operands[position] as Value
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value) && !(value instanceof RegoSet))
    throw typeError(position, 'one of {string, set, array}', value)
  return stringsIn(operands, position)
}

/** Towards zero, with the 64 significant bits that OPA's big.Float has. */
function truncated(value: RegoNumber): bigint {
  const whole = value.toBigInt()
  if (whole === undefined) return fractionless(value)
  const excess = BigInt((whole < 0n ? -whole : whole).toString(2).length - 64)
  if (excess <= 0n) return whole
  const half = 1n << (excess - 1n)
  const magnitude = whole < 0n ? -whole : whole
  const kept = magnitude >> excess
  const rest = magnitude & ((1n << excess) - 1n)
  const rounded = (rest > half || (rest === half && (kept & 1n) === 1n) ? kept + 1n : kept) << excess
  return whole < 0n ? -rounded : rounded
}

function fractionless(value: RegoNumber): bigint {
  const float = value.toNumber()
  if (!Number.isFinite(float)) throw new BuiltinError('operand 1 is out of range')
  return /[eE]/.test(value.text) ? BigInt(Math.trunc(float)) : BigInt(value.text.replace(/\..*$/, ''))
}
