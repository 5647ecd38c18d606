/**
 * JWT bearers: a token goes to the issuer that it names, and is verified with that issuer's keys.
 *
 * What can be told without a key is told first, so that a token which no key could make good costs
 * nothing and makes nobody fetch anything.
 */
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Claims } from './claims.ts'
import type { Asked, Known } from './identify.ts'
import type { KeySource } from './key-source.ts'
import type { PublicJwk } from './public-keys.ts'
import { createRemembered } from './remembered.ts'
import { createJwtVerifier, type JwtExpectations, type JwtVerifier } from './signed-jwt.ts'

export interface JwtRules extends JwtExpectations {
  /** Lower-case `typ` values, without `application/`. */
  readonly types: readonly string[]
  /** Empty: whoever the token was issued to. */
  readonly authorizedParties: readonly string[]
  /** After this long a token is verified again, with the keys of that day. */
  readonly rememberMs: number
}

export interface JwtIssuer {
  readonly issuer: string
  readonly known: Known
  verify(jwt: string, header: Claims, now: EpochMs): Promise<Principal | undefined>
  /** Its keys are others now. */
  forget(): void
}

export function createJwtIssuer(
  rules: JwtRules,
  source: KeySource,
  read: (claims: Claims) => Principal | undefined,
): JwtIssuer {
  const remembered = createRemembered<Principal>()
  const verifiers = new WeakMap<readonly PublicJwk[], JwtVerifier>()
  const flights = new Map<string, Promise<Principal | undefined>>()

  function verifierOf(keys: readonly PublicJwk[]): JwtVerifier {
    const known = verifiers.get(keys)
    if (known) return known
    const verifier = createJwtVerifier(keys, rules)
    verifiers.set(keys, verifier)
    return verifier
  }

  async function verified(jwt: string, now: EpochMs): Promise<Principal | undefined> {
    let keys = await source.keys(now)
    let claims = await verifierOf(keys).verify(jwt, now)
    if (claims === 'unknown_key') {
      const newer = await source.newer(now)
      if (!newer) return undefined
      keys = newer
      claims = await verifierOf(keys).verify(jwt, now)
    }
    if (claims === undefined || claims === 'unknown_key' || !partyFits(claims, rules)) return undefined
    const principal = read(claims)
    // Keys that came while this one was verified may no longer hold its key.
    if (principal && keys === (await source.keys(now))) {
      const ends = ((claims.exp as number) + rules.toleranceSeconds) * 1000
      remembered.set(jwt, principal, Math.min(ends, now + rules.rememberMs))
    }
    return principal
  }

  return {
    issuer: rules.issuer,
    known: (credential, now) => remembered.get(credential, now),
    forget: remembered.clear,
    async verify(jwt, header, now) {
      if (!headerFits(header, rules)) return undefined
      let flight = flights.get(jwt)
      if (!flight) {
        flight = verified(jwt, now).finally(() => flights.delete(jwt))
        flights.set(jwt, flight)
      }
      return flight
    },
  }
}

/** RFC 7515 §7.1, without padding: one token is written in one way. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Tokens of issuers that are not among these are not for this method to judge. */
export function createJwtMethod(issuers: readonly JwtIssuer[]): Asked {
  const byName = new Map(issuers.map(issuer => [issuer.issuer, issuer]))
  return (credential, now) => {
    const parts = credential.split('.')
    if (parts.length !== 3) return undefined
    const [header, claims] = parts.slice(0, 2).map(jsonIn)
    const issuer = typeof claims?.iss === 'string' ? byName.get(claims.iss) : undefined
    if (!issuer) return undefined
    // Whatever it is, it says that it is this issuer's: nobody else is asked.
    return header && COMPACT.test(credential)
      ? issuer.verify(credential, header, now)
      : Promise.resolve(undefined)
  }
}

/** RFC 7515 §4.1.9: of media types in capitals or small letters, `application/` may be left out. */
export function mediaType(type: string): string {
  return type.toLowerCase().replace(/^application\//, '')
}

/** The algorithm is the config's choice and never the token's; a token for another purpose says so by its type. */
function headerFits({ alg, typ, kid }: Claims, { algorithms, types }: JwtRules): boolean {
  const type = typ === undefined ? 'jwt' : typ
  return (
    typeof alg === 'string' &&
    algorithms.includes(alg) &&
    typeof type === 'string' &&
    types.includes(mediaType(type)) &&
    (kid === undefined || typeof kid === 'string')
  )
}

/** `azp` of OpenID Connect, else `client_id` of RFC 9068. */
function partyFits({ azp, client_id }: Claims, { authorizedParties }: JwtRules): boolean {
  const party = azp ?? client_id
  if (party !== undefined && typeof party !== 'string') return false
  return authorizedParties.length === 0 || (party !== undefined && authorizedParties.includes(party))
}

function jsonIn(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined
  } catch {
    return undefined
  }
}
