import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/load.ts'

const POOLS = { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9001' }] } }
const codesOf = (config: object): string[] =>
  readConfig(JSON.stringify({ pools: POOLS, ...config }), 'gateway.config.json', '/etc/sallyport', {
    env: {},
    readFile: () => '',
  }).findings.map(finding => finding.code)

const jwt = (own: object = {}) => ({
  identity: { jwt: [{ issuer: 'https://idp.example', audience: ['a'], ...own }] },
})
const introspection = (url: string) => ({
  identity: { introspection: [{ url, clientId: 'a', clientSecret: 'b' }] },
})

describe('a config of who is known', () => {
  it.each([
    ['an issuer', jwt()],
    ['an issuer on loopback', jwt({ issuer: 'http://127.0.0.1:9100' })],
    ['an issuer on loopback, by IPv6', jwt({ issuer: 'http://[::1]:9100' })],
    ['an issuer that is no URL, with a key file', jwt({ issuer: 'urn:idp', keyFile: 'idp.pem' })],
    ['introspection', introspection('https://idp.example/introspect')],
    ['proxies', { listen: { trustedProxies: ['10.0.0.0/8', '::1', '2001:db8::/32'] } }],
    [
      'certificates that our own authority signs',
      {
        listen: { tls: { certFile: 'a', keyFile: 'b', clientCaFile: 'c' } },
        identity: { clientCertificates: {} },
      },
    ],
    [
      'certificates that a proxy verifies',
      { listen: { trustedProxies: ['::1'] }, identity: { clientCertificates: { id: 'uri|subject' } } },
    ],
  ])('may have %s', (_what, config) => {
    expect(codesOf(config)).toEqual([])
  })

  it.each([
    ['an issuer over plain http elsewhere', jwt({ issuer: 'http://idp.example' }), 'insecure_url'],
    ['one that looks like loopback', jwt({ issuer: 'http://127.0.0.1.example' }), 'insecure_url'],
    [
      'one over plain http, with a key file',
      jwt({ issuer: 'http://x.example', keyFile: 'k' }),
      'insecure_url',
    ],
    ['keys over plain http elsewhere', jwt({ jwksUri: 'http://idp.example/jwks' }), 'insecure_url'],
    ['an issuer that is no URL and has no keys', jwt({ issuer: 'idp' }), 'invalid_url'],
    ['an issuer with a password', jwt({ issuer: 'https://u:p@idp.example' }), 'invalid_url'],
    ['two places for keys', jwt({ jwksUri: 'https://idp.example/', keyFile: 'x' }), 'two_key_sources'],
    ['an HMAC', jwt({ algorithms: ['HS256'] }), 'config_invalid'],
    ['the algorithm none', jwt({ algorithms: ['none'] }), 'config_invalid'],
    ['no algorithm', jwt({ algorithms: [] }), 'config_invalid'],
    ['no audience', jwt({ audience: undefined }), 'config_invalid'],
    ['a misspelt key', jwt({ audiense: 'x' }), 'config_unknown_key'],
    ['a timeout without end', jwt({ keys: { timeout: '1h' } }), 'timeout_too_long'],
    ['introspection over plain http elsewhere', introspection('http://idp.example/'), 'insecure_url'],
    ['a proxy by name', { listen: { trustedProxies: ['proxy.local'] } }, 'invalid_network'],
    ['TLS without a key', { listen: { tls: { certFile: 'a' } } }, 'config_invalid'],
    [
      'certificates that nobody could present',
      { identity: { clientCertificates: {} } },
      'certificates_without_authority',
    ],
    [
      'a name that certificates do not have',
      { listen: { trustedProxies: ['::1'] }, identity: { clientCertificates: { id: 'uri|name' } } },
      'config_invalid',
    ],
  ])('may not have %s', (_what, config, code) => {
    expect(codesOf(config)).toEqual([code])
  })

  it('may not have one issuer twice', () => {
    const [issuer] = jwt().identity.jwt
    expect(codesOf({ identity: { jwt: [issuer, issuer] } })).toEqual(['duplicate_issuer'])
  })
})
