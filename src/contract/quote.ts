/**
 * A text as JSON: as `JSON.stringify` writes it, and faster where nothing has to be escaped, which is nearly
 * always.
 */
export function quote(text: string): string {
  return UNUSUAL.test(text) ? JSON.stringify(text) : `"${text}"`
}

/** A quote, a backslash, a control character, or beyond ASCII. */
const UNUSUAL = /[^\x20\x21\x23-\x5b\x5d-\x7e]/
