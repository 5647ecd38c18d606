/**
 * The secrets of a config: what must not be readable by others, and not told by the gateway.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import { CREDENTIAL_HEADERS } from '../contract/request.ts'
import type { JsonPath } from './document.ts'

export interface Secret {
  readonly path: JsonPath
  readonly value: string
}

/** By the names of keys, so that a section which is built later is seen too. */
const SECRET_KEY = /(token|secret|password|passphrase|apiKey)$/i

/** @returns Credentials that stand in the config, however they came there, those inside of URLs included. */
export function secretsIn(config: GatewayConfig): Secret[] {
  const found: Secret[] = []
  const visit = (node: unknown, path: JsonPath): void => {
    if (typeof node === 'string') {
      const value = secretOf(node, path)
      if (value !== undefined) found.push({ path, value })
    } else if (Array.isArray(node)) for (const [index, item] of node.entries()) visit(item, [...path, index])
    else if (typeof node === 'object' && node !== null)
      for (const [key, item] of Object.entries(node)) visit(item, [...path, key])
  }
  visit(config, [])
  return found
}

function secretOf(text: string, path: JsonPath): string | undefined {
  const key = String(path.at(-1))
  if (SECRET_KEY.test(key)) return text
  if (path.at(-2) === 'headers' && CREDENTIAL_HEADERS.has(key.toLowerCase())) return text
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^/@]*:([^/@]+)@/i.exec(text)?.[1]
  return password === undefined ? undefined : decodeURIComponent(password)
}
