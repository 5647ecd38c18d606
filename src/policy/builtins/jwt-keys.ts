/**
 * JWT keys: what tokens are verified and signed with: certificates, public keys, and JSON Web Keys.
 *
 * Reading one costs more than verifying with it, and a policy uses the same few: they are remembered.
 */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKey,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { RegoObject } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import { toPlain, unmarshal } from './go-json.ts'
import { ALGORITHMS } from './jwt-algorithms.ts'
import { firstPem } from './pem.ts'

export interface VerificationKey {
  key: KeyObject
  /** Empty when the key does not say. */
  algorithm: string
  id: string
}

const CACHE_SIZE = 64
const cache = new Map<string, VerificationKey[]>()

/** @param text - A PEM certificate or public key, or a JSON Web Key or set of them. @throws BuiltinError */
export function verificationKeys(text: string): VerificationKey[] {
  const known = cache.get(text)
  if (known) return known
  const keys = readKeys(text)
  if (cache.size >= CACHE_SIZE) cache.clear()
  cache.set(text, keys)
  return keys
}

function readKeys(text: string): VerificationKey[] {
  const pem = firstPem(text)
  if (!pem) return webKeys(text).flatMap(verificationKey)
  if (pem.rest !== '') throw new BuiltinError('extra data after a PEM certificate block')
  return [{ key: pemKey(pem.block.type, pem.block.bytes), algorithm: '', id: '' }]
}

function pemKey(type: string, der: Buffer): KeyObject {
  try {
    if (type === 'CERTIFICATE') return new X509Certificate(der).publicKey
    if (type === 'PUBLIC KEY') return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch (cause) {
    throw new BuiltinError('failed to parse a PEM key', { cause })
  }
  throw new BuiltinError('failed to extract a Key from the PEM certificate')
}

function verificationKey(jwk: JsonWebKey): VerificationKey[] {
  const algorithm = jwk.alg === undefined ? '' : String(jwk.alg)
  // Keys for algorithms that no token may have, such as encryption, are passed over.
  if (algorithm !== '' && !ALGORITHMS.has(algorithm)) return []
  return [{ key: keyOf(jwk), algorithm, id: typeof jwk.kid === 'string' ? jwk.kid : '' }]
}

/** The first key of a set is the one that signs. @throws BuiltinError */
export function signingKey(text: string): KeyObject {
  const [jwk] = webKeys(text)
  if (!jwk) throw new BuiltinError('no keys found in JWK set')
  return keyOf(jwk)
}

function webKeys(text: string): JsonWebKey[] {
  const value = unmarshal(text)
  if (!(value instanceof RegoObject)) throw new BuiltinError('failed to parse a JWK key (set)')
  const jwks = toPlain(value) as JsonWebKey & { keys?: unknown }
  if (jwks.keys === undefined) return [jwks]
  if (!Array.isArray(jwks.keys)) throw new BuiltinError('failed to parse a JWK key (set)')
  return jwks.keys as JsonWebKey[]
}

function keyOf(jwk: JsonWebKey): KeyObject {
  try {
    if (jwk.kty === 'oct') return createSecretKey(Buffer.from(String(jwk.k), 'base64url'))
    const source = { key: jwk, format: 'jwk' } as const
    return jwk.d === undefined ? createPublicKey(source) : createPrivateKey(source)
  } catch (cause) {
    throw new BuiltinError('failed to parse a JWK key (set)', { cause })
  }
}
