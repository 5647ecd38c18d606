/**
 * JSON that every reader understands alike: no duplicate keys, no invalid UTF-8, no BOM, nothing
 * after the value, and no deeper than 64.
 *
 * `JSON.parse` is the judge of the grammar; what it lets through and others read differently is
 * looked for here.
 */
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../contract/errors.ts'
import type { RequestBody } from '../contract/request.ts'

export const MAX_DEPTH = 64

/** @throws GatewayError `invalid_request` */
export function parseBody(bytes: Buffer): RequestBody {
  if (!isUtf8(bytes)) throw malformed('The body is not UTF-8')
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    // A BOM is no white space to JSON.parse, which refuses it.
    value = JSON.parse(text)
  } catch {
    // The parser's own message quotes the body, which may be a secret.
    throw malformed('The body is not JSON')
  }
  refuseAmbiguity(text)
  return { bytes, text, value }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** @param text - Valid JSON. @throws GatewayError for a duplicate key or too many levels. */
export function refuseAmbiguity(text: string): void {
  /** For each open object the keys seen so far; for each open list undefined. */
  const levels: (Set<string> | undefined)[] = []
  let expectKey = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at)
        if (expectKey) {
          const keys = levels[levels.length - 1] as Set<string>
          const raw = text.slice(at + 1, end)
          const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
          if (keys.has(key)) throw malformed('The body has a key twice')
          keys.add(key)
          expectKey = false
        }
        at = end
        break
      }
      case OPEN_BRACE:
        levels.push(new Set())
        if (levels.length > MAX_DEPTH) throw malformed('The body is nested too deeply')
        expectKey = true
        break
      case OPEN_BRACKET:
        levels.push(undefined)
        if (levels.length > MAX_DEPTH) throw malformed('The body is nested too deeply')
        expectKey = false
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        levels.pop()
        expectKey = false
        break
      case COMMA:
        expectKey = levels[levels.length - 1] !== undefined
        break
    }
  }
}

/** Where the string that begins at a quote ends: the next quote that no odd run of backslashes escapes. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
  }
}

function malformed(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}
