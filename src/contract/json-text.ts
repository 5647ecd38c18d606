/**
 * JSON as text: what `JSON.parse` does not tell. Keys given twice, depth, and where the values of
 * the outermost object stand, so that one can be changed and the rest stay as it came.
 */
import type { TextRange } from './request.ts'

export interface JsonScan {
  /** Two readers could take two values for it. */
  readonly duplicateKey: boolean
  readonly depth: number
  /** A number that is more than a double holds: infinity to one reader, an error to the next, exact to the third. */
  readonly hugeNumber: boolean
  /** Of the outermost object, white space around the values included; empty when it is none. */
  readonly members: ReadonlyMap<string, TextRange>
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const ZERO = 0x30
const NINE = 0x39
/** `1e309` */
const SHORTEST_HUGE = 5

/**
 * @param text - Valid JSON.
 * @param maxDepth - The scan stops at the first level beyond; `depth` then tells.
 */
export function scanJson(text: string, maxDepth = Number.POSITIVE_INFINITY): JsonScan {
  /** For each open object the keys seen so far; for each open list undefined. */
  const levels: (Keys | undefined)[] = []
  const members = new Map<string, TextRange>()
  let depth = 0
  let duplicateKey = false
  let hugeNumber = false
  let expectKey = false
  /** The member of the outermost object that is being read, and where its value begins. */
  let member: string | undefined
  let start = 0

  const endMember = (end: number): void => {
    if (member !== undefined) members.set(member, { start, end })
    member = undefined
  }

  for (let at = 0; at < text.length && depth <= maxDepth; at++) {
    const character = text.charCodeAt(at)
    if (character >= ZERO && character <= NINE) {
      const end = endOfNumber(text, at)
      hugeNumber ||= end - at >= SHORTEST_HUGE && !Number.isFinite(Number(text.slice(at, end)))
      at = end - 1
      continue
    }
    switch (character) {
      case QUOTE: {
        const end = endOfString(text, at)
        if (expectKey) {
          const raw = text.slice(at + 1, end)
          const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
          const keys = levels[levels.length - 1] as Keys
          // Two that differ in a lone surrogate are one to whoever reads U+FFFD.
          const name = raw.includes('\\') ? key.toWellFormed() : key
          duplicateKey ||= !keys.add(name)
          expectKey = false
          if (levels.length === 1) member = key
        }
        at = end
        break
      }
      case COLON:
        if (levels.length === 1) start = at + 1
        break
      case OPEN_BRACE:
        depth = Math.max(depth, levels.push(new Keys()))
        expectKey = true
        break
      case OPEN_BRACKET:
        depth = Math.max(depth, levels.push(undefined))
        expectKey = false
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (levels.length === 1) endMember(at)
        levels.pop()
        expectKey = false
        break
      case COMMA:
        if (levels.length === 1) endMember(at)
        expectKey = levels[levels.length - 1] !== undefined
        break
    }
  }
  return { duplicateKey, depth, hugeNumber, members }
}

/** The keys of one object: most have few, and a list of few costs less than a set. */
class Keys {
  readonly #few: string[] = []
  #many: Set<string> | undefined = undefined

  /** @returns Whether it is new. */
  add(key: string): boolean {
    if (this.#many) return this.#many.size < this.#many.add(key).size
    if (this.#few.includes(key)) return false
    if (this.#few.push(key) > MOST_FEW) this.#many = new Set(this.#few)
    return true
  }
}

const MOST_FEW = 12

/** Where the number ends that has a digit there: what may be part of one, as the text is valid. */
function endOfNumber(text: string, start: number): number {
  let end = start + 1
  while (IN_NUMBER.has(text.charCodeAt(end))) end++
  return end
}

const IN_NUMBER: ReadonlySet<number> = new Set([...'0123456789.eE+-'].map(sign => sign.charCodeAt(0)))

/** Where the string that begins at a quote ends: the next quote that no odd run of backslashes escapes. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
  }
}

/**
 * @param text - A JSON object, with the members that `scanJson` found in it.
 * @param value - JSON text.
 * @returns The same text with one member set, and every other character as it was.
 */
export function withMember(text: string, members: JsonScan['members'], name: string, value: string): string {
  const place = members.get(name)
  if (place) return text.slice(0, place.start) + value + text.slice(place.end)
  const open = text.indexOf('{') + 1
  return `${text.slice(0, open)}${JSON.stringify(name)}:${value}${members.size === 0 ? '' : ','}${text.slice(open)}`
}
