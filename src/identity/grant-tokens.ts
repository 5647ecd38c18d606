/**
 * Credentials that are worth one grant: JWTs that this gateway signs and believes, for a job or a
 * person without a key. Its keys are kept in the store, so that gateways that share it know them all,
 * and change every week; an old one is kept as long as something that it signed is good.
 */
import type { Principal } from '../contract/input.schema.ts'
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Asked } from './identify.ts'
import type { PublicJwk } from './public-keys.ts'
import { createJwtVerifier, newSigningKey, type SigningKey, signJwt } from './signed-jwt.ts'

export interface GrantTokens {
  /** @returns A JWT. */
  mint(grant: TokenGrant): Promise<string>
  /** Judges what says that it is one of ours; nothing else. */
  readonly asked: Asked
}

export interface TokenGrant {
  readonly id: string
  readonly principal: string
  readonly startsAt: EpochMs
  readonly expiresAt: EpochMs
}

/** What is kept of a key, by its name. */
export interface KeptKey {
  readonly key: SigningKey
  readonly createdAt: EpochMs
}

export interface GrantTokensNeeds {
  readonly keys: Pick<Shelf<KeptKey>, 'all' | 'put'>
  now(): EpochMs
  /** Whom a grant is for, while it is in force. */
  holderOf(grantId: string, at: EpochMs): Principal | undefined
}

const ISSUER = 'sallyport'
const AUDIENCE = 'sallyport'
const TYPE = 'sallyport-grant+jwt'
const ALGORITHM = 'EdDSA'
const ROTATE_MS = 7 * 86_400_000
const TOLERANCE_SECONDS = 5

export function createGrantTokens({ keys, now, holderOf }: GrantTokensNeeds): GrantTokens {
  let verifier = createJwtVerifier([], EXPECTED)

  async function mint({ id, principal, startsAt, expiresAt }: TokenGrant): Promise<string> {
    const at = now()
    const kept = await keys.all()
    const current = kept.find(({ value }) => at - value.createdAt < ROTATE_MS && value.createdAt <= at)
    const key = current?.value ?? { key: await newSigningKey(), createdAt: at }
    // Written again so that it is kept as long as this token is good.
    const until = Math.max(expiresAt, key.createdAt + ROTATE_MS) + ROTATE_MS
    const written = await keys.put(key.key.kid, key, current?.version ?? 0, until)
    if (!written) return mint({ id, principal, startsAt, expiresAt })
    return signJwt(key.key, TYPE, {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: principal,
      jti: id,
      iat: Math.floor(at / 1000),
      nbf: Math.floor(startsAt / 1000),
      exp: Math.ceil(expiresAt / 1000),
    })
  }

  async function holder(jwt: string, at: EpochMs): Promise<Principal | undefined> {
    let claims = await verifier.verify(jwt, at)
    if (claims === 'unknown_key') {
      const known = (await keys.all()).map(({ value }) => value.key.public as PublicJwk)
      verifier = createJwtVerifier(known, EXPECTED)
      claims = await verifier.verify(jwt, at)
    }
    if (claims === undefined || claims === 'unknown_key' || typeof claims.jti !== 'string') return undefined
    const principal = holderOf(claims.jti, at)
    return principal?.id === claims.sub ? principal : undefined
  }

  return {
    mint,
    asked: (credential, at) => (isOurs(credential) ? holder(credential, at) : undefined),
  }
}

const EXPECTED = {
  issuer: ISSUER,
  audience: [AUDIENCE],
  algorithms: [ALGORITHM],
  toleranceSeconds: TOLERANCE_SECONDS,
}

/** By its type, which no token of an identity provider has. */
function isOurs(credential: string): boolean {
  const [header, ...rest] = credential.split('.')
  if (rest.length !== 2) return false
  try {
    const { typ } = JSON.parse(Buffer.from(header as string, 'base64url').toString('utf8'))
    return typ === TYPE
  } catch {
    return false
  }
}
