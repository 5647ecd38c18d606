/** X.509 keys: public and private keys and their algorithms, as Go's structures show them. */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import { Der, malformed } from './der.ts'
import type { PemBlock } from './pem.ts'

/** Go's numbers for signature algorithms; RSA-PSS is told apart by its parameters. */
const SIGNATURES: Record<string, number> = {
  '1.2.840.113549.1.1.2': 1,
  '1.2.840.113549.1.1.4': 2,
  '1.2.840.113549.1.1.5': 3,
  '1.2.840.113549.1.1.11': 4,
  '1.2.840.113549.1.1.12': 5,
  '1.2.840.113549.1.1.13': 6,
  '1.2.840.10040.4.3': 7,
  '2.16.840.1.101.3.4.3.2': 8,
  '1.2.840.10045.4.1': 9,
  '1.2.840.10045.4.3.2': 10,
  '1.2.840.10045.4.3.3': 11,
  '1.2.840.10045.4.3.4': 12,
  '1.3.101.112': 16,
}
const PSS = '1.2.840.113549.1.1.10'
const PSS_HASHES: Record<string, number> = {
  '2.16.840.1.101.3.4.2.1': 13,
  '2.16.840.1.101.3.4.2.2': 14,
  '2.16.840.1.101.3.4.2.3': 15,
}

/** @returns 0 for one that Go does not know */
export function signatureAlgorithm(identifier: Der): number {
  const [oid, parameters] = identifier.children()
  if (!oid) throw malformed()
  const name = oid.oid().join('.')
  if (name !== PSS) return SIGNATURES[name] ?? 0
  const hash = parameters?.children()[0]?.children()[0]?.children()[0]
  return hash ? (PSS_HASHES[hash.oid().join('.')] ?? 0) : 0
}

const PUBLIC_ALGORITHMS: Record<string, number> = {
  '1.2.840.113549.1.1.1': 1,
  '1.2.840.10040.4.1': 2,
  '1.2.840.10045.2.1': 3,
  '1.3.101.112': 4,
}

export function publicKeyFields(spki: Der): { PublicKeyAlgorithm: Value; PublicKey: Value } {
  const oid = spki.children()[0]?.children()[0]
  if (!oid) throw malformed()
  const algorithm = PUBLIC_ALGORITHMS[oid.oid().join('.')] ?? 0
  const known = algorithm === 1 || algorithm === 3 || algorithm === 4
  return {
    PublicKeyAlgorithm: RegoNumber.of(algorithm),
    PublicKey: known ? publicKeyValue(publicKeyOf(spki)) : null,
  }
}

/** @throws BuiltinError */
export function publicKeyOf(spki: Der): KeyObject {
  try {
    return createPublicKey({ key: spki.whole, format: 'der', type: 'spki' })
  } catch (cause) {
    throw new BuiltinError('x509: invalid public key', { cause })
  }
}

function publicKeyValue(key: KeyObject): Value {
  const jwk = key.export({ format: 'jwk' })
  if (jwk.kty === 'RSA') return RegoObject.of({ N: whole(jwk.n), E: whole(jwk.e) })
  if (jwk.kty === 'EC') return RegoObject.of({ Curve: new RegoObject(), X: whole(jwk.x), Y: whole(jwk.y) })
  return Buffer.from(jwk.x as string, 'base64url').toString('base64')
}

/** A private key as Go marshals it: all its numbers. */
export function privateKeyValue(key: KeyObject): Value {
  const jwk = key.export({ format: 'jwk' })
  if (jwk.kty === 'RSA') return rsaValue(jwk)
  if (jwk.kty === 'EC') {
    return RegoObject.of({ Curve: new RegoObject(), X: whole(jwk.x), Y: whole(jwk.y), D: whole(jwk.d) })
  }
  const [seed, point] = [jwk.d, jwk.x].map(part => Buffer.from(part as string, 'base64url')) as [
    Buffer,
    Buffer,
  ]
  return Buffer.concat([seed, point]).toString('base64')
}

function rsaValue(jwk: JsonWebKey): Value {
  return RegoObject.of({
    N: whole(jwk.n),
    E: whole(jwk.e),
    D: whole(jwk.d),
    Primes: [whole(jwk.p), whole(jwk.q)],
    Precomputed: RegoObject.of({ Dp: whole(jwk.dp), Dq: whole(jwk.dq), Qinv: whole(jwk.qi), CRTValues: [] }),
  })
}

function whole(part: string | undefined): RegoNumber {
  return RegoNumber.of(BigInt(`0x${Buffer.from(part as string, 'base64url').toString('hex')}`))
}

/** A private key as a JSON Web Key. OPA says no more than the kind of an elliptic one. */
export function webKeyValue(key: KeyObject): RegoObject {
  const jwk = key.export({ format: 'jwk' }) as Record<string, string>
  if (jwk.kty === 'EC') return RegoObject.of({ kty: 'EC' })
  if (jwk.kty !== 'RSA') throw new BuiltinError('invalid key type')
  return RegoObject.of(jwk)
}

const PRIVATE_TYPES: Record<string, 'pkcs1' | 'pkcs8' | 'sec1'> = {
  'RSA PRIVATE KEY': 'pkcs1',
  'PRIVATE KEY': 'pkcs8',
  'EC PRIVATE KEY': 'sec1',
}

/** The private keys among PEM blocks. @throws BuiltinError when one is not what it says it is */
export function privateKeys(blocks: readonly PemBlock[]): KeyObject[] {
  return blocks.flatMap(({ type, bytes }) => {
    const form = PRIVATE_TYPES[type]
    return form ? [privateKeyOf(bytes, form)] : []
  })
}

export function privateKeyOf(der: Buffer, type: 'pkcs1' | 'pkcs8' | 'sec1'): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type })
  } catch (cause) {
    throw new BuiltinError('x509: failed to parse private key', { cause })
  }
}

/** As many DER values as there are, one after another. */
export function sequenceOf(bytes: Buffer): Der[] {
  const values: Der[] = []
  for (let rest = bytes; rest.length > 0; ) {
    const value = Der.first(rest)
    values.push(value)
    rest = rest.subarray(value.whole.length)
  }
  return values
}
