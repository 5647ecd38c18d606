/**
 * Public keys as issuers publish them: a JSON Web Key Set, or PEM.
 */
import { createPublicKey, type JsonWebKey, X509Certificate } from 'node:crypto'

/** What is kept of a key: nothing private, and nothing symmetric. */
const PUBLIC_MEMBERS = ['kty', 'kid', 'use', 'alg', 'crv', 'x', 'y', 'n', 'e'] as const
const TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])
const MOST_KEYS = 100

/** A JWK whose members are public. */
export type PublicJwk = Readonly<Record<string, unknown>> & { readonly kty: string; readonly kid?: string }

/** @param text - JSON of a key set or of one key, or PEM. @throws Error when there is no usable key in it. */
export function readPublicKeys(text: string): readonly PublicJwk[] {
  const keys = text.includes('-----BEGIN ') ? pemKeys(text) : webKeys(JSON.parse(text))
  if (keys.length === 0) throw new Error('there is no public key for signatures in it')
  return keys.slice(0, MOST_KEYS)
}

function webKeys(value: unknown): PublicJwk[] {
  const { keys = [value] } = value as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('it is not a JSON Web Key Set')
  return keys.filter(isForSignatures).map(publicPart)
}

function isForSignatures(key: unknown): key is Record<string, unknown> {
  if (typeof key !== 'object' || key === null) return false
  const { kty, use, kid } = key as Record<string, unknown>
  return (
    TYPES.has(kty) && (use === undefined || use === 'sig') && (kid === undefined || typeof kid === 'string')
  )
}

function publicPart(key: Readonly<Record<string, unknown>>): PublicJwk {
  const members = PUBLIC_MEMBERS.filter(name => key[name] !== undefined)
  return Object.fromEntries(members.map(name => [name, key[name]])) as PublicJwk
}

function pemKeys(text: string): PublicJwk[] {
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g) ?? []
  return blocks.map(block => {
    const key = block.startsWith('-----BEGIN CERTIFICATE')
      ? new X509Certificate(block).publicKey
      : createPublicKey(block)
    return publicPart(key.export({ format: 'jwk' }) as JsonWebKey as Record<string, unknown>)
  })
}
