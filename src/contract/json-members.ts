/**
 * The members of a JSON object as they stand in its text: what is needed of a long line is cut out, digits
 * and order as they came, and the rest is not even read.
 *
 * For lines that a machine wrote. Brackets and strings are followed, nothing else is checked; text that ends
 * before its object does is told apart.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/**
 * @param text - One JSON object, with or without white space around it.
 * @returns The text of each value by its key; of a key that is given twice the last. Undefined when the text
 *   is no object, or not a whole one.
 */
export function membersOf(text: string): Map<string, string> | undefined {
  const members = new Map<string, string>()
  return readMembers(text, members) === WHOLE ? members : undefined
}

/**
 * @param members - Takes those that stand before the one that is looked for.
 * @returns Where the value of a member begins; -1 when there is none.
 */
export function startOfMember(text: string, name: string, members: Map<string, string>): number {
  return Math.max(-1, readMembers(text, members, name))
}

const WHOLE = -2

/** @returns Where the value of `until` begins; else `WHOLE`, or -1 for what is not a whole object. */
function readMembers(text: string, members: Map<string, string>, until?: string): number {
  let at = pastSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_BRACE) return -1
  at = pastSpace(text, at + 1)
  if (text.charCodeAt(at) === CLOSE_BRACE) return isEnd(text, at + 1) ? WHOLE : -1
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE) return -1
    const keyEnd = pastString(text, at)
    if (keyEnd < 0) return -1
    const key = keyOf(text.slice(at, keyEnd))
    at = pastSpace(text, keyEnd)
    if (key === undefined || text.charCodeAt(at) !== COLON) return -1
    const start = pastSpace(text, at + 1)
    if (key === until) return start
    const end = pastValue(text, start)
    if (end < 0) return -1
    members.set(key, text.slice(start, end).trimEnd())
    at = pastSpace(text, end)
    if (text.charCodeAt(at) === CLOSE_BRACE) return isEnd(text, at + 1) ? WHOLE : -1
    if (text.charCodeAt(at) !== COMMA) return -1
    at = pastSpace(text, at + 1)
  }
}

/** @returns The text of each element of a JSON list; undefined when the text is none, or not a whole one. */
export function elementsOf(text: string): string[] | undefined {
  const elements: string[] = []
  let at = pastSpace(text, 0)
  if (text.charCodeAt(at) !== OPEN_BRACKET) return undefined
  at = pastSpace(text, at + 1)
  if (text.charCodeAt(at) === CLOSE_BRACKET) return isEnd(text, at + 1) ? elements : undefined
  for (;;) {
    const end = pastValue(text, at)
    if (end < 0) return undefined
    elements.push(text.slice(at, end).trimEnd())
    at = pastSpace(text, end)
    if (text.charCodeAt(at) === CLOSE_BRACKET) return isEnd(text, at + 1) ? elements : undefined
    if (text.charCodeAt(at) !== COMMA) return undefined
    at = pastSpace(text, at + 1)
  }
}

function keyOf(quoted: string): string | undefined {
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted) as string
  } catch {
    return undefined
  }
}

/** Where the value that begins here ends: at the comma or the bracket behind it; -1 where it does not. */
function pastValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = pastString(text, at) - 1
      if (at < 0) return -1
      if (depth === 0) return at + 1
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) return at > start ? at : -1
      depth--
      if (depth === 0) return at + 1
    } else if (code === COMMA && depth === 0) return at > start ? at : -1
  }
  return -1
}

/** Behind the quote that ends the string which begins here; -1 where none does. */
function pastString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end + 1
  }
  return -1
}

function pastSpace(text: string, start: number): number {
  let at = start
  for (let code = text.charCodeAt(at); code === 0x20 || (code >= 0x09 && code <= 0x0d); ) {
    at++
    code = text.charCodeAt(at)
  }
  return at
}

function isEnd(text: string, at: number): boolean {
  return pastSpace(text, at) >= text.length
}
