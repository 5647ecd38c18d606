/**
 * Client certificates: what one says, and which of it is the principal's id.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { PresentedCertificate } from '../contract/request.ts'
import type { EpochMs } from '../contract/units.ts'
import { BAD_CREDENTIAL } from './challenge.ts'

export type CertificateName = 'uri' | 'dns' | 'email' | 'subject'

export interface CertificateRules {
  /** The first that the certificate has is the id. */
  readonly id: readonly CertificateName[]
  readonly kind: string
  readonly roles: readonly string[]
  readonly team: string | null
}

export type CertificateMethod = (certificate: PresentedCertificate, now: EpochMs) => Principal

/** @throws GatewayError `unauthenticated` when it was not verified, is no longer valid, or names nobody. */
export function createCertificateMethod(rules: CertificateRules): CertificateMethod {
  const principals = new WeakMap<PresentedCertificate, Principal>()
  return (certificate, now) => {
    const { verified, notBefore, notAfter } = certificate
    if (!verified) throw refusal('the client certificate was not verified')
    if ((notAfter !== null && now >= notAfter) || (notBefore !== null && now < notBefore))
      throw refusal('the client certificate is not valid now')
    const known = principals.get(certificate)
    if (known) return known
    const principal = principalOf(certificate, rules)
    principals.set(certificate, principal)
    return principal
  }
}

function principalOf(certificate: PresentedCertificate, rules: CertificateRules): Principal {
  const names = namesOf(certificate)
  const name = rules.id.find(kind => names[kind].length > 0)
  const [id, ...others] = name === undefined ? [] : names[name]
  if (id === undefined) throw refusal('the client certificate has none of the names that are an id')
  // SPIFFE X.509-SVID §2: more than one is an identity that nobody can tell.
  if (name === 'uri' && others.length > 0) throw refusal('the client certificate has several URIs')
  const { notAfter, notBefore } = certificate
  return {
    id,
    kind: rules.kind,
    roles: rules.roles,
    team: rules.team,
    authenticated: true,
    method: 'client_certificate',
    key_id: null,
    claims: {
      subject: certificate.subject,
      issuer: certificate.issuer,
      uris: certificate.uris,
      dns: certificate.dns,
      emails: certificate.emails,
      serial: certificate.serial,
      fingerprint_sha256: certificate.fingerprint,
      not_before: notBefore === null ? null : new Date(notBefore).toISOString(),
      not_after: notAfter === null ? null : new Date(notAfter).toISOString(),
    },
    expires_at: notAfter === null ? null : new Date(notAfter).toISOString(),
  }
}

function namesOf(certificate: PresentedCertificate): Record<CertificateName, readonly string[]> {
  const { uris, dns, emails, subject } = certificate
  return { uri: uris, dns, email: emails, subject: subject === '' ? [] : [subject] }
}

function refusal(message: string): GatewayError {
  return new GatewayError('unauthenticated', message, { headers: { 'www-authenticate': BAD_CREDENTIAL } })
}
