/**
 * Identify: the credential that a request presents → the principal it names.
 *
 * A credential that is not good is a refusal even where anonymous callers are let in: a caller
 * who thinks to be somebody must not be served as nobody.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'

export interface Credentials {
  readonly authorization: string | undefined
  readonly 'x-api-key': string | undefined
  readonly 'api-key': string | undefined
}

export interface IdentifyNeeds {
  readonly keyring: { principalOf(secret: string, now: EpochMs): Principal | undefined }
  readonly anonymous: Principal | undefined
}

const REALM = 'Bearer realm="sallyport"'

/**
 * @throws GatewayError `unauthenticated` without a good credential, `invalid_request` when several
 *   are presented that do not name the same principal.
 */
export function identify(credentials: Credentials, now: EpochMs, needs: IdentifyNeeds): Principal {
  const presented = secretsIn(credentials)
  const [first, ...others] = presented
  if (first === undefined) {
    if (needs.anonymous) return needs.anonymous
    throw refusal('no credential was presented', REALM)
  }
  const principal = principalOf(first, now, needs)
  for (const other of others) {
    if (other !== first && principalOf(other, now, needs).id !== principal.id) {
      throw new GatewayError('invalid_request', 'two credentials name two principals', {
        title: 'More than one credential was presented',
        headers: { 'www-authenticate': `${REALM}, error="invalid_request"` },
      })
    }
  }
  return principal
}

function principalOf(secret: string, now: EpochMs, { keyring }: IdentifyNeeds): Principal {
  const principal = keyring.principalOf(secret, now)
  if (principal) return principal
  throw refusal('the credential is unknown, revoked, expired or mistyped', `${REALM}, error="invalid_token"`)
}

function secretsIn(credentials: Credentials): string[] {
  const secrets: string[] = []
  if (credentials.authorization !== undefined) secrets.push(bearer(credentials.authorization))
  if (credentials['x-api-key'] !== undefined) secrets.push(credentials['x-api-key'])
  if (credentials['api-key'] !== undefined) secrets.push(credentials['api-key'])
  return secrets
}

function bearer(header: string): string {
  const match = /^Bearer +([^\s]+)$/i.exec(header)
  if (!match) throw refusal('the Authorization header is not Bearer', `${REALM}, error="invalid_token"`)
  return match[1] as string
}

function refusal(message: string, challenge: string): GatewayError {
  return new GatewayError('unauthenticated', message, { headers: { 'www-authenticate': challenge } })
}
