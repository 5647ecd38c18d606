import { describe, expect, it } from 'vitest'
import type { PresentedCertificate } from '../../src/contract/request.ts'
import { createCertificateMethod } from '../../src/identity/certificate.ts'
import { thrownBy } from '../support/thrown.ts'

const NOW = 1_800_000_000_000
const ANA: PresentedCertificate = {
  verified: true,
  subject: 'CN=ana,O=Corp',
  uris: ['spiffe://corp.example/ana'],
  dns: ['ana.corp.example', 'ana.local'],
  emails: ['ana@corp.example'],
  issuer: 'CN=clients',
  serial: '01',
  fingerprint: 'ab',
  notBefore: NOW - 1000,
  notAfter: NOW + 1000,
}
const RULES = { kind: 'service', roles: ['mesh'], team: null }
const method = createCertificateMethod({ ...RULES, id: ['uri'] })

describe('a client certificate', () => {
  it('is its principal for as long as it is valid, to the millisecond, on a connection that stands', () => {
    const principal = method(ANA, NOW)
    expect(principal).toMatchObject({ id: 'spiffe://corp.example/ana', roles: ['mesh'], team: null })
    expect(method(ANA, NOW + 999)).toBe(principal)
    for (const at of [NOW - 1001, NOW + 1000])
      expect(thrownBy(() => method(ANA, at))).toMatchObject({ code: 'unauthenticated', status: 401 })
  })

  it('is by the first of the names that it has', () => {
    const byMail = createCertificateMethod({ ...RULES, id: ['email', 'dns', 'subject'] })
    expect(byMail(ANA, NOW).id).toBe('ana@corp.example')
    expect(byMail({ ...ANA, emails: [] }, NOW).id).toBe('ana.corp.example')
    expect(byMail({ ...ANA, emails: [], dns: [] }, NOW).id).toBe('CN=ana,O=Corp')
  })

  it.each([
    ['that was not verified', { verified: false }],
    ['without the name that is the id', { uris: [] }],
    ['with several URIs', { uris: ['spiffe://corp.example/ana', 'spiffe://corp.example/eve'] }],
  ])('%s is nobody', (_what, own) => {
    expect(thrownBy(() => method({ ...ANA, ...own }, NOW))).toMatchObject({
      code: 'unauthenticated',
      headers: { 'www-authenticate': 'Bearer realm="sallyport", error="invalid_token"' },
    })
  })

  it('of which a proxy told no dates has no end', () => {
    expect(method({ ...ANA, notBefore: null, notAfter: null }, NOW).expires_at).toBeNull()
  })
})
