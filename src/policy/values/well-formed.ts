/**
 * JSON text without lone surrogates: where Go, and so OPA, reads U+FFFD, the module's parser would
 * give up. Everything else of the text stays as it is, digits of numbers included.
 */

/** An escape as a whole, so that the second half of a pair or an escaped backslash is not taken for more. */
const ESCAPE = /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)/g
const LONE = /^\\u[dD][89a-fA-F]..$/
const SURROGATE = /\\u[dD][89a-fA-F]/

/** @param text - Valid JSON whose surrogates, if any, are escaped. */
export function withoutLoneSurrogates(text: string): string {
  if (!text.includes('\\u') || !SURROGATE.test(text)) return text
  return text.replace(ESCAPE, escaped => (LONE.test(escaped) ? '\\ufffd' : escaped))
}
