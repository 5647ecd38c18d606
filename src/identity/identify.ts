/**
 * Identify: the credentials that a request presents → the principal they name.
 *
 * What is cheap to know comes first and answers at once: API keys, and tokens that were verified
 * before. Only then is anybody asked, and only if the address has not failed too often.
 *
 * A credential that is not good is a refusal even where anonymous callers are let in: a caller
 * who thinks to be somebody must not be served as nobody.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { PresentedCertificate } from '../contract/request.ts'
import type { EpochMs } from '../contract/units.ts'
import type { CertificateMethod } from './certificate.ts'
import { BAD_CREDENTIAL, CHALLENGE, SEVERAL_CREDENTIALS } from './challenge.ts'

export interface Credentials {
  readonly authorization: string | undefined
  readonly 'x-api-key': string | undefined
  readonly 'api-key': string | undefined
  readonly certificate?: PresentedCertificate | undefined
}

/** Cheap: knows a credential by itself, or not at all. */
export type Known = (credential: string, now: EpochMs) => Principal | undefined

/**
 * Costly: verifies a credential, or asks who can.
 * @returns Undefined when it is not of this kind; else a promise of its principal, or of none when it is bad.
 */
export type Asked = (credential: string, now: EpochMs) => Promise<Principal | undefined> | undefined

export interface Methods {
  readonly known: readonly Known[]
  readonly asked: readonly Asked[]
  /** Undefined: certificates name nobody. */
  readonly certificate: CertificateMethod | undefined
  readonly anonymous: Principal | undefined
}

const NOT_GOOD = 'the credential is unknown, revoked, expired or mistyped'

/**
 * @param admitWork - Called before anything costly. Rejects when this caller may not cause it.
 * @throws GatewayError `unauthenticated` without a good credential, `invalid_request` when several
 *   are presented that do not name the same principal, `identity_unavailable` when nobody could tell.
 */
export function identify(
  credentials: Credentials,
  now: EpochMs,
  methods: Methods,
  admitWork: () => Promise<void>,
): Principal | Promise<Principal> {
  const secrets = secretsIn(credentials)
  const certified = certifiedBy(credentials.certificate, now, methods)
  if (secrets.length === 0) {
    const principal = certified ?? methods.anonymous
    if (principal) return principal
    throw unauthenticated('no credential was presented', CHALLENGE)
  }
  const principals: Principal[] = certified ? [certified] : []
  for (const secret of secrets) {
    const principal = knownBy(methods.known, secret, now)
    if (principal) principals.push(principal)
    else if (methods.asked.length === 0 || isOurs(secret)) throw unauthenticated(NOT_GOOD)
    else return askedFor(secrets, now, methods, admitWork, certified)
  }
  return theOne(principals)
}

async function askedFor(
  secrets: readonly string[],
  now: EpochMs,
  { known, asked }: Methods,
  admitWork: () => Promise<void>,
  certified: Principal | undefined,
): Promise<Principal> {
  const principals: Principal[] = certified ? [certified] : []
  for (const secret of secrets) {
    const principal = knownBy(known, secret, now) ?? (await askedAbout(secret, now, asked, admitWork))
    if (!principal) throw unauthenticated(NOT_GOOD)
    principals.push(principal)
  }
  return theOne(principals)
}

async function askedAbout(
  secret: string,
  now: EpochMs,
  asked: readonly Asked[],
  admitWork: () => Promise<void>,
): Promise<Principal | undefined> {
  if (isOurs(secret)) return undefined
  await admitWork()
  for (const method of asked) {
    const answer = method(secret, now)
    if (answer) return answer
  }
  return undefined
}

/** One of our own keys: if the keyring does not know it nobody does, and nobody else is shown it. */
function isOurs(secret: string): boolean {
  return secret.startsWith('slp_')
}

function knownBy(known: readonly Known[], secret: string, now: EpochMs): Principal | undefined {
  for (const method of known) {
    const principal = method(secret, now)
    if (principal) return principal
  }
  return undefined
}

function certifiedBy(
  presented: PresentedCertificate | undefined,
  now: EpochMs,
  { certificate }: Methods,
): Principal | undefined {
  if (presented === undefined) return undefined
  if (!presented.verified)
    throw unauthenticated('a client certificate was presented that could not be verified')
  return certificate?.(presented, now)
}

/** Of several credentials for the same principal the first says with which rights. */
function theOne(principals: readonly Principal[]): Principal {
  const [first, ...others] = principals as [Principal, ...Principal[]]
  if (others.every(other => other.id === first.id)) return first
  throw new GatewayError('invalid_request', 'two credentials name two principals', {
    title: 'More than one credential was presented',
    headers: { 'www-authenticate': SEVERAL_CREDENTIALS },
  })
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
  if (!match) throw unauthenticated('the Authorization header is not Bearer')
  return match[1] as string
}

function unauthenticated(message: string, challenge = BAD_CREDENTIAL): GatewayError {
  return new GatewayError('unauthenticated', message, { headers: { 'www-authenticate': challenge } })
}
