/**
 * JSON that every reader understands alike: no duplicate keys, no invalid UTF-8, no BOM, nothing
 * after the value, no deeper than 64, and no number beyond what a double holds.
 *
 * `JSON.parse` is the judge of the grammar; what it lets through and others read differently is
 * looked for here.
 */
import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../contract/errors.ts'
import { scanJson } from '../contract/json-text.ts'
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
  const { duplicateKey, depth, hugeNumber, members } = scanJson(text, MAX_DEPTH)
  if (duplicateKey) throw malformed('The body has a key twice')
  if (depth > MAX_DEPTH) throw malformed('The body is nested too deeply')
  if (hugeNumber) throw malformed('The body has a number that is too large')
  return { bytes, text, value, members }
}

function malformed(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}
