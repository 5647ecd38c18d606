/**
 * Signed JWTs: their signature, and the claims that every one has. The one door of `jose`, which is loaded
 * once there is a token to read or to make.
 */
import type { JSONWebKeySet, JWK, JWTVerifyOptions } from 'jose'
import type { EpochMs } from '../contract/units.ts'
import type { Claims } from './claims.ts'
import type { PublicJwk } from './public-keys.ts'

export interface JwtExpectations {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly algorithms: readonly string[]
  readonly toleranceSeconds: number
}

export interface JwtVerifier {
  /**
   * @returns The claims; `unknown_key` when another key may have signed it, one that is not known yet;
   *   undefined when it is bad.
   */
  verify(jwt: string, now: EpochMs): Promise<Claims | 'unknown_key' | undefined>
}

type Library = typeof import('jose')
type Set = ReturnType<Library['createLocalJWKSet']>
type Key = Awaited<ReturnType<Set>>

const load = (): Promise<Library> => import('jose')

export function createJwtVerifier(keys: readonly PublicJwk[], expected: JwtExpectations): JwtVerifier {
  let made: Set | undefined
  // Keys of a PEM file have no name, so the name that a token gives says nothing.
  const nameless = keys.every(key => key.kid === undefined)
  const options = (now: EpochMs): JWTVerifyOptions => ({
    issuer: expected.issuer,
    audience: [...expected.audience],
    algorithms: [...expected.algorithms],
    clockTolerance: expected.toleranceSeconds,
    currentDate: new Date(now),
    requiredClaims: ['exp'],
  })

  async function verify(jwt: string, now: EpochMs): Promise<Claims | 'unknown_key' | undefined> {
    const { createLocalJWKSet, errors, jwtVerify } = await load()
    made ??= createLocalJWKSet({ keys } as unknown as JSONWebKeySet)
    const set = made
    let named = false
    try {
      const { payload } = await jwtVerify(
        jwt,
        ({ kid, ...header }) => {
          named = kid !== undefined
          return set(nameless || kid === undefined ? header : { ...header, kid })
        },
        options(now),
      )
      return payload
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return tryEach(jwt, now, error)
      if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key'
      const unsigned = error instanceof errors.JWSSignatureVerificationFailed
      return unsigned && (nameless || !named) ? 'unknown_key' : undefined
    }
  }

  async function tryEach(
    jwt: string,
    now: EpochMs,
    candidates: AsyncIterable<Key>,
  ): Promise<Claims | 'unknown_key' | undefined> {
    const { errors, jwtVerify } = await load()
    for await (const key of candidates) {
      try {
        return (await jwtVerify(jwt, key, options(now))).payload
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) return undefined
      }
    }
    return 'unknown_key'
  }

  return { verify }
}

/** A key of our own, as it is kept. */
export interface SigningKey {
  readonly kid: string
  readonly public: object
  readonly private: object
}

/** An Ed25519 key, named after its thumbprint (RFC 7638). */
export async function newSigningKey(): Promise<SigningKey> {
  const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await load()
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(pair.publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  const use = { kid, alg: 'EdDSA', use: 'sig' }
  return { kid, public: { ...jwk, ...use }, private: { ...(await exportJWK(pair.privateKey)), ...use } }
}

/** @param claims - All of them, `iss` and `exp` included. */
export async function signJwt(key: SigningKey, type: string, claims: Claims): Promise<string> {
  const { importJWK, SignJWT } = await load()
  const signing = await importJWK(key.private as JWK, 'EdDSA')
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: type, kid: key.kid })
    .sign(signing)
}
