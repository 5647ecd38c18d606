/**
 * Glob intersection: whether some text matches both of two patterns made of characters, `.`, sets such as
 * `[a-z]`, and the flags `*` and `+`.
 *
 * OPA's answer is that of the library it uses, which is narrower than the theory: a flagged token takes
 * part only if the other pattern has something for it. So `abc*` and `ab` do not meet there, nor here.
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
  const ends = trimmed(tokens(a), tokens(b))
  return ends !== undefined && meet(ends[0], 0, ends[1], 0, { first: ends[0], seen: new Map() })
}

/** Without equal ends, but for one token of each; undefined when the ends cannot meet. */
function trimmed(a: readonly Token[], b: readonly Token[]): [Token[], Token[]] | undefined {
  const plain = (x: Token | undefined, y: Token | undefined) => x?.flag === '' && y?.flag === ''
  let left = 0
  for (; plain(a[left], b[left]); left++) if (!share(a[left] as Token, b[left] as Token)) return undefined
  left = Math.max(left - 1, 0)
  let right = 0
  const longest = Math.min(a.length, b.length) - left
  for (; right < longest && plain(a.at(-1 - right), b.at(-1 - right)); right++) {
    if (!share(a.at(-1 - right) as Token, b.at(-1 - right) as Token)) return undefined
  }
  const cut = Math.max(right - 1, 0)
  return [a.slice(left, a.length - cut), b.slice(left, b.length - cut)]
}

/** What is left of two patterns, from two positions; each pair of positions is looked at once. */
interface Memo {
  /** Tells the patterns apart: which of them is flagged matters. */
  first: readonly Token[]
  seen: Map<string, boolean>
}

function meet(a: readonly Token[], i: number, b: readonly Token[], j: number, memo: Memo): boolean {
  const key = `${a === memo.first},${i},${j}`
  const known = memo.seen.get(key)
  if (known !== undefined) return known
  const answer = meets(a, i, b, j, memo)
  memo.seen.set(key, answer)
  return answer
}

function meets(a: readonly Token[], from: number, b: readonly Token[], start: number, memo: Memo): boolean {
  let [i, j] = [from, start]
  for (; i < a.length && j < b.length; i++, j++) {
    const [x, y] = [a[i] as Token, b[j] as Token]
    if (x.flag !== '')
      return x.flag === '*' ? gobble(a, i, b, j, memo) : share(x, y) && gobble(a, i, b, j + 1, memo)
    if (y.flag !== '')
      return y.flag === '*' ? gobble(b, j, a, i, memo) : share(x, y) && gobble(b, j, a, i + 1, memo)
    if (!share(x, y)) return false
  }
  return i === a.length && j === b.length
}

/** A flagged token takes tokens of the other pattern until what follows it meets what is left there. */
function gobble(
  starred: readonly Token[],
  at: number,
  other: readonly Token[],
  from: number,
  memo: Memo,
): boolean {
  const next = starred[at + 1]
  for (let i = from; i < other.length; i++) {
    const token = other[i] as Token
    if (next && share(token, next) && meet(starred, at + 1, other, i, memo)) return true
    if (!share(token, starred[at] as Token)) return false
  }
  return next === undefined
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
      if (
        previous === undefined ||
        last === undefined ||
        (chars[at] === '-' && (last === ']' || last === '-'))
      ) {
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
  if (from > to || to - from > LARGEST_SET)
    throw new BuiltinError('the input provided is invalid: range is out of order')
  for (let code = from; code <= to; code++) set.add(String.fromCodePoint(code))
}
