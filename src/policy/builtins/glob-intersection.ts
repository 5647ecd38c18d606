/**
 * Glob intersection: whether some text matches both of two patterns made of characters, `.`, sets such as
 * `[a-z]`, and the flags `*` (any number) and `+` (one or more).
 *
 * Two positions, one in each pattern, move together over a text nobody has to spell out: there is such a
 * text when both can reach their end.
 */
import { BuiltinError } from './builtin.ts'

interface Token {
  /** Undefined: any character. */
  chars: ReadonlySet<string> | undefined
  flag: '' | '*' | '+'
}

/** A set of more characters than this is a mistake or an attack. */
const LARGEST_SET = 0x20000

/** @throws BuiltinError when one is not such a pattern */
export function globsIntersect(a: string, b: string): boolean {
  const [x, y] = [unrolled(tokens(a)), unrolled(tokens(b))]
  const seen = new Set<number>()
  const open: [number, number][] = [[0, 0]]
  for (let pair = open.pop(); pair; pair = open.pop()) {
    const [i, j] = pair
    if (i === x.length && j === y.length) return true
    const key = i * (y.length + 1) + j
    if (seen.has(key)) continue
    seen.add(key)
    const [s, t] = [x[i], y[j]]
    if (s?.flag === '*') open.push([i + 1, j])
    if (t?.flag === '*') open.push([i, j + 1])
    if (s && t && share(s, t)) open.push([s.flag === '*' ? i : i + 1, t.flag === '*' ? j : j + 1])
  }
  return false
}

/** `a+` is `aa*`. */
function unrolled(tokens: readonly Token[]): Token[] {
  return tokens.flatMap((token): Token[] => (token.flag === '+' ? [{ ...token, flag: '' }, { ...token, flag: '*' }] : [token]))
}

function share(a: Token, b: Token): boolean {
  if (!a.chars || !b.chars) return true
  const [few, many] = a.chars.size <= b.chars.size ? [a.chars, b.chars] : [b.chars, a.chars]
  for (const char of few) if (many.has(char)) return true
  return false
}

function tokens(pattern: string): Token[] {
  const chars = [...pattern]
  const found: Token[] = []
  for (let at = 0; at < chars.length; ) {
    const char = chars[at] as string
    let token: Token
    if (char === '\\') {
      token = { chars: new Set([escaped(chars, at)]), flag: '' }
      at += 2
    } else if (char === '[') {
      const set = characterSet(chars, at + 1)
      token = { chars: set.chars, flag: '' }
      at = set.next
    } else {
      if (']*+'.includes(char)) throw new BuiltinError(`the input provided is invalid: unexpected ${char}`)
      token = { chars: char === '.' ? undefined : new Set([char]), flag: '' }
      at++
    }
    const flag = chars[at]
    if (flag === '*' || flag === '+') {
      token.flag = flag
      at++
    }
    found.push(token)
  }
  return found
}

function escaped(chars: readonly string[], at: number): string {
  const char = chars[at + 1]
  if (char === undefined) throw new BuiltinError('the input provided is invalid: ends with an escape')
  return char
}

function characterSet(chars: readonly string[], from: number): { chars: Set<string>; next: number } {
  const set = new Set<string>()
  let previous: string | undefined
  for (let at = from; at < chars.length; at++) {
    let char = chars[at] as string
    if (char === ']') return { chars: set, next: at + 1 }
    if (char === '-') {
      const last = chars[at + 1] === '\\' ? escaped(chars, ++at) : chars[at + 1]
      if (previous === undefined || last === undefined || (chars[at] === '-' && (last === ']' || last === '-'))) {
        throw new BuiltinError('the input provided is invalid: bad range')
      }
      addRange(set, previous, last)
      previous = undefined
      at++
      continue
    }
    if (char === '\\') char = escaped(chars, at++)
    set.add(char)
    previous = char
  }
  throw new BuiltinError('the input provided is invalid: found [ without matching ]')
}

function addRange(set: Set<string>, first: string, last: string): void {
  const [from, to] = [first.codePointAt(0) as number, last.codePointAt(0) as number]
  if (from > to || to - from > LARGEST_SET) throw new BuiltinError('the input provided is invalid: range is out of order')
  for (let code = from; code <= to; code++) set.add(String.fromCodePoint(code))
}
