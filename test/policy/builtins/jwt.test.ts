import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ask, codeOf } from '../rego.ts'

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string

function rs256(header: object, payload: unknown): string {
  const content = `${encode(header)}.${encode(payload)}`
  return `${content}.${sign('sha256', Buffer.from(content), rsa.privateKey).toString('base64url')}`
}

function hs256(header: object, payload: unknown, secret: string): string {
  const content = `${encode(header)}.${encode(payload)}`
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`
}

const DECODE = 'io.jwt.decode_verify(input.token, input.constraints)'
const REFUSED = '[false,{},{}]'

describe('a token', () => {
  const token = rs256({ alg: 'RS256' }, { sub: 'ana', exp: 1_790_000_001 })

  it('is believed when its signature and claims hold', () => {
    expect(ask(`${DECODE}[2].sub`, { token, constraints: { cert: publicPem } })).toBe('"ana"')
    expect(ask('io.jwt.verify_rs256(input.token, input.key)', { token, key: publicPem })).toBe('true')
    const jwk = JSON.stringify({ keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'a' }] })
    expect(ask('io.jwt.verify_rs256(input.token, input.key)', { token, key: jwk })).toBe('true')
  })

  it('is not believed when anything about it is off', () => {
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const constraints = { cert: publicPem }
    const bad: [string, object][] = [
      [`${header}.${encode({ sub: 'eve' })}.${signature}`, constraints],
      [`${encode({ alg: 'none' })}.${payload}.`, constraints],
      [token, { ...constraints, alg: 'ES256' }],
      [token, { ...constraints, iss: 'somebody' }],
      [token, { ...constraints, time: 1_790_000_001_000_000_000 }],
      [rs256({ alg: 'RS256', crit: ['x'], x: 1 }, {}), constraints],
      [rs256({ alg: 'RS256' }, { aud: 'other' }), constraints],
      [rs256({ alg: 'RS256' }, { nbf: 1_790_000_900 }), constraints],
    ]
    for (const [attack, given] of bad)
      expect(ask(DECODE, { token: attack, constraints: given })).toBe(REFUSED)
  })

  it('is not believed when it was signed with a public key for a secret', () => {
    const forged = hs256({ alg: 'HS256' }, { sub: 'eve' }, publicPem)
    expect(ask(DECODE, { token: forged, constraints: { cert: publicPem } })).toBe(REFUSED)
    expect(ask('io.jwt.verify_rs256(input.token, input.key)', { token: forged, key: publicPem })).toBe(
      'false',
    )
  })

  it('is an error when it is none, or the constraints are', () => {
    for (const odd of ['', 'a.b', 'a.b.c.d', '!.!.!', `${encode('[]')}.${encode('{}')}.x`]) {
      expect(codeOf(() => ask(DECODE, { token: odd, constraints: { cert: publicPem } }, 'refuse'))).toBe(
        'builtin_error',
      )
    }
    for (const constraints of [
      {},
      { secret: 'x', cert: publicPem },
      { bogus: 1 },
      { cert: 'x' },
      { secret: 'x', time: -1 },
    ]) {
      expect(codeOf(() => ask(DECODE, { token, constraints }, 'refuse'))).toBe('builtin_error')
    }
  })
})

describe('signing', () => {
  it('gives tokens that verify, for each algorithm', () => {
    const keys = {
      RS256: rsa,
      PS384: rsa,
      ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
      EdDSA: generateKeyPairSync('ed25519'),
    }
    for (const [alg, { privateKey, publicKey }] of Object.entries(keys)) {
      const input = { header: { alg }, claims: { a: 1 }, key: privateKey.export({ format: 'jwk' }) }
      const token = JSON.parse(
        ask('io.jwt.encode_sign(input.header, input.claims, input.key)', input) as string,
      ) as string
      const cert = JSON.stringify(publicKey.export({ format: 'jwk' }))
      expect(ask(DECODE, { token, constraints: { cert } }), alg).toContain('[true')
    }
  })
})
