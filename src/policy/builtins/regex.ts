/**
 * regex.* and glob.*: patterns in RE2's syntax, matched in time linear in the text.
 *
 * The only door to `re2js`.
 */
import { RE2JS } from 're2js'
import { BuiltinError, type Builtins, type Evaluation, smallInteger, string } from './builtin.ts'
import { globsIntersect } from './glob-intersection.ts'

export const regex: Builtins = {
  'regex.split': (operands, evaluation) => {
    const [pattern, text] = [string(operands, 0), string(operands, 1)]
    const found = matches(compiled(pattern), text, -1, evaluation)
    return pattern !== '' && text === '' ? [''] : split(text, found)
  },
  'regex.find_n': (operands, evaluation) => {
    const [pattern, text] = [string(operands, 0), string(operands, 1)]
    const found = matches(compiled(pattern), text, smallInteger(operands, 2), evaluation)
    return found.map(match => match.groups[0] as string)
  },
  'regex.replace': (operands, evaluation) => {
    const [text, pattern] = [string(operands, 0), string(operands, 1)]
    return replace(text, matches(compiled(pattern), text, -1, evaluation), string(operands, 2))
  },
  'regex.template_match': operands => {
    const [pattern, text, start, end] = [0, 1, 2, 3].map(i => string(operands, i)) as [
      string,
      string,
      string,
      string,
    ]
    if (Buffer.byteLength(start) !== 1)
      throw new BuiltinError('start delimiter has to be exactly one character long')
    if (Buffer.byteLength(end) !== 1)
      throw new BuiltinError('end delimiter has to be exactly one character long')
    return compiled(templated(pattern, start, end))
      .matcher(text)
      .find()
  },
  'regex.globs_match': operands => globsIntersect(string(operands, 0), string(operands, 1)),
  'glob.quote_meta': operands => string(operands, 0).replace(/[*?\\[\]{}]/g, '\\$&'),
}

const CACHE_SIZE = 256
const cache = new Map<string, RE2JS>()

/** @throws BuiltinError */
function compiled(pattern: string): RE2JS {
  const known = cache.get(pattern)
  if (known) return known
  try {
    const fresh = RE2JS.compile(pattern)
    if (cache.size >= CACHE_SIZE) cache.clear()
    cache.set(pattern, fresh)
    return fresh
  } catch (cause) {
    throw new BuiltinError(
      `error parsing regexp: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  }
}

/** @returns whether a text has the pattern somewhere. @throws BuiltinError */
export function searchPattern(pattern: string): (text: string) => boolean {
  const ready = compiled(pattern)
  return text => ready.matcher(text).find()
}

interface Match {
  start: number
  end: number
  /** undefined: a group that took no part. */
  groups: (string | undefined)[]
  names: Readonly<Record<string, number>>
}

/** As Go's `FindAll`: from left to right; nothing is not found right behind a match. `limit` < 0: all. */
function matches(pattern: RE2JS, text: string, limit: number, evaluation: Evaluation): Match[] {
  const found: Match[] = []
  const matcher = pattern.matcher(text)
  const names = pattern.namedGroups() as Record<string, number>
  let at = 0
  let previousEnd = -1
  while ((limit < 0 || found.length < limit) && at <= text.length && matcher.find(at)) {
    evaluation.checkpoint()
    const [start, end] = [matcher.start(), matcher.end()]
    const accepted = end !== at || start !== previousEnd
    if (accepted) {
      const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? undefined)
      found.push({ start, end, groups, names })
    }
    const width = (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
    at = end === at ? at + width : end
    previousEnd = end
  }
  return found
}

function split(text: string, found: readonly Match[]): string[] {
  const parts: string[] = []
  let begin = 0
  let end = 0
  for (const match of found) {
    end = match.start
    if (match.end !== 0) parts.push(text.slice(begin, end))
    begin = match.end
  }
  if (end !== text.length) parts.push(text.slice(begin))
  return parts
}

function replace(text: string, found: readonly Match[], template: string): string {
  let out = ''
  let at = 0
  for (const match of found) {
    out += text.slice(at, match.start) + expand(template, match)
    at = match.end
  }
  return out + text.slice(at)
}

/** `$1`, `${name}` and `$$`; as in Go `$1x` is the group named `1x`, and an unknown group is nothing. */
function expand(template: string, { groups, names }: Match): string {
  return template.replace(
    /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (all, braced?: string, bare?: string) => {
      const name = braced ?? bare
      if (name === undefined) return all === '$$' ? '$' : all
      const index = /^\d+$/.test(name) ? Number(name) : names[name]
      return (index === undefined ? undefined : groups[index]) ?? ''
    },
  )
}

/** Text outside the delimiters is literal, inside it is a pattern; they nest. */
function templated(template: string, open: string, close: string): string {
  let pattern = '^'
  let level = 0
  let from = 0
  for (let i = 0; i < template.length; i++) {
    if (template[i] === open) {
      if (level++ === 0) {
        pattern += RE2JS.quote(template.slice(from, i))
        from = i + 1
      }
    } else if (template[i] === close) {
      if (--level < 0) break
      if (level === 0) {
        const part = template.slice(from, i)
        compiled(`^${part}$`)
        pattern += `(${part})`
        from = i + 1
      }
    }
  }
  if (level !== 0) throw new BuiltinError('unbalanced braces')
  return `${pattern + RE2JS.quote(template.slice(from))}$`
}
