import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Principal } from '../../src/contract/input.schema.ts'
import { createClaimsReader } from '../../src/identity/claims.ts'
import { createJwtIssuer, createJwtMethod, type JwtIssuer, type JwtRules } from '../../src/identity/jwt.ts'
import { createKeySource } from '../../src/identity/key-source.ts'
import { type SigningKey, signHmac, signingKey, signJwt } from '../support/issuer.ts'
import { badCredentials } from '../support/malformed-credentials.ts'

const ISSUER = 'https://idp.example'
const NOW = 1_800_000_000_000
const RULES: JwtRules = {
  issuer: ISSUER,
  audience: ['sallyport', 'other-name'],
  algorithms: ['RS256', 'ES256'],
  toleranceSeconds: 5,
  types: ['jwt', 'at+jwt'],
  authorizedParties: [],
  rememberMs: 600_000,
}
const PATHS = { id: 'sub', kind: 'kind', roles: 'roles', team: 'team' }
const read = createClaimsReader({ paths: PATHS, idPrefix: '', method: 'jwt' })
const claims = (own: object = {}): Record<string, unknown> => ({
  iss: ISSUER,
  aud: 'sallyport',
  sub: 'ana',
  exp: NOW / 1000 + 600,
  ...own,
})

interface World {
  readonly clock: { now: number }
  /** What the issuer publishes, or why it cannot be asked. */
  published: string | Error
  reads: number
  readonly issuer: JwtIssuer
  present(credential: string): Promise<Principal | undefined>
}

function world(keys: readonly SigningKey[], rules: Partial<JwtRules> = {}): World {
  const clock = { now: NOW }
  const source = createKeySource({
    name: ISSUER,
    freshMs: 600_000,
    staleMs: 86_400_000,
    floorMs: 5000,
    now: () => clock.now,
    async read() {
      made.reads++
      if (made.published instanceof Error) throw made.published
      return made.published
    },
    onChange: () => issuer.forget(),
    onState: () => {},
  })
  const issuer = createJwtIssuer({ ...RULES, ...rules }, source, read)
  const method = createJwtMethod([issuer])
  const made: World = {
    clock,
    published: publish(keys),
    reads: 0,
    issuer,
    present: async credential => issuer.known(credential, clock.now) ?? method(credential, clock.now),
  }
  return made
}

const publish = (keys: readonly SigningKey[]): string => JSON.stringify({ keys: keys.map(key => key.jwk) })

describe('a JWT bearer', () => {
  let rsa: SigningKey
  let ec: SigningKey
  let stranger: SigningKey
  beforeAll(() => {
    rsa = signingKey('RS256')
    ec = signingKey('ES256')
    stranger = signingKey('RS256')
  })

  it('is the principal that its claims name, with all of them', async () => {
    const given = claims({ roles: ['a', 'b'], team: 'search', kind: 'service', email: 'a@b.example' })
    expect(await world([rsa]).present(signJwt(rsa, given))).toEqual({
      id: 'ana',
      kind: 'service',
      roles: ['a', 'b'],
      team: 'search',
      authenticated: true,
      method: 'jwt',
      key_id: null,
      claims: given,
      expires_at: new Date(NOW + 600_000).toISOString(),
    })
  })

  it.each([
    ['an audience among several', { aud: ['x', 'other-name'] }, {}],
    ['the type of RFC 9068', {}, { typ: 'application/at+JWT' }],
    ['no type', {}, { typ: undefined }],
    ['a clock that is behind by less than the tolerance', { nbf: NOW / 1000 + 4 }, {}],
    ['a clock that is ahead by less than the tolerance', { exp: NOW / 1000 - 4 }, {}],
    ['no kid, where there is one key', {}, { kid: undefined }],
  ])('is taken with %s', async (_what, own, header) => {
    expect((await world([rsa]).present(signJwt(rsa, claims(own), header)))?.id).toBe('ana')
  })

  it('is taken with whichever allowed algorithm its key is for', async () => {
    const { present } = world([rsa, ec])
    expect((await present(signJwt(rsa, claims())))?.id).toBe('ana')
    expect((await present(signJwt(ec, claims())))?.id).toBe('ana')
    expect(await world([rsa, ec], { algorithms: ['ES256'] }).present(signJwt(rsa, claims()))).toBeUndefined()
  })

  it('without kid is tried with each key that could be', async () => {
    const { present } = world([stranger, rsa])
    expect((await present(signJwt(rsa, claims(), { kid: undefined })))?.id).toBe('ana')
  })

  it.each([
    ['azp', { azp: 'web' }, true],
    ['client_id', { client_id: 'web' }, true],
    ['another azp', { azp: 'other' }, false],
    ['another azp before client_id', { azp: 'other', client_id: 'web' }, false],
    ['no party', {}, false],
  ])('must have been issued to a party that is allowed: %s', async (_what, own, good) => {
    const principal = await world([rsa], { authorizedParties: ['web'] }).present(signJwt(rsa, claims(own)))
    expect(principal !== undefined).toBe(good)
  })

  it('of an issuer that is not configured is not for this method', () => {
    const method = createJwtMethod([world([rsa]).issuer])
    expect(method(signJwt(rsa, claims({ iss: 'https://other.example' })), NOW)).toBeUndefined()
    expect(method('an.opaque.token', NOW)).toBeUndefined()
    expect(method('opaque', NOW)).toBeUndefined()
  })

  it('is never taken when it is bad, and never makes anything fail', async () => {
    const { present, clock } = world([rsa])
    const now = Date.now()
    clock.now = now
    const fresh = (own: object = {}) => claims({ exp: Math.floor(now / 1000) + 600, ...own })
    const bad = badCredentials({ key: rsa, stranger, claims: fresh })
    expect(bad.length).toBeGreaterThan(200)
    expect((await present(signJwt(rsa, fresh())))?.id).toBe('ana')
    const accepted: string[] = []
    for (const { why, credential } of bad) if (await present(credential)) accepted.push(why)
    expect(accepted).toEqual([])
  })

  it('that no key could make good makes nobody fetch anything', async () => {
    const here = world([rsa])
    for (const token of [
      signHmac('x', claims()),
      signJwt(rsa, claims(), { alg: 'none' }),
      signJwt(rsa, claims(), { typ: 'dpop+jwt' }),
      signJwt(rsa, claims(), { kid: 7 }),
    ])
      expect(await here.present(token)).toBeUndefined()
    expect(here.reads).toBe(0)
  })

  describe('that was verified', () => {
    it('is remembered: the same principal, and no second verification', async () => {
      const here = world([rsa])
      const token = signJwt(rsa, claims())
      const first = await here.present(token)
      expect(here.issuer.known(token, NOW)).toBe(first)
    })

    it('is forgotten when it expires, to the second', async () => {
      const here = world([rsa], { toleranceSeconds: 0 })
      const token = signJwt(rsa, claims({ exp: NOW / 1000 + 60 }))
      await here.present(token)
      expect(here.issuer.known(token, NOW + 59_999)).toBeDefined()
      expect(here.issuer.known(token, NOW + 60_000)).toBeUndefined()
      here.clock.now = NOW + 60_000
      expect(await here.present(token)).toBeUndefined()
    })

    it('is forgotten when its key is withdrawn, at the latest when the keys are no longer fresh', async () => {
      const here = world([rsa, ec])
      const token = signJwt(rsa, claims({ exp: NOW / 1000 + 86_400 }))
      await here.present(token)
      here.published = publish([ec])
      here.clock.now += 599_999
      expect(await here.present(token)).toBeDefined()
      here.clock.now += 1
      expect(await here.present(token)).toBeUndefined()
    })

    it('is forgotten at once when another token shows that the keys are others', async () => {
      const here = world([rsa])
      const token = signJwt(rsa, claims())
      await here.present(token)
      here.clock.now += 1000
      here.published = publish([ec])
      expect((await here.present(signJwt(ec, claims())))?.id).toBe('ana')
      expect(here.issuer.known(token, here.clock.now)).toBeUndefined()
    })
  })

  describe('whose key is not known', () => {
    it('makes the keys be fetched again, at once', async () => {
      const here = world([rsa])
      await here.present(signJwt(rsa, claims()))
      here.clock.now += 1
      here.published = publish([rsa, ec])
      expect((await here.present(signJwt(ec, claims())))?.id).toBe('ana')
      expect(here.reads).toBe(2)
    })

    it('does not make them be fetched more often than the floor lets it', async () => {
      const here = world([rsa])
      await here.present(signJwt(rsa, claims()))
      for (let second = 0; second < 20; second++) {
        here.clock.now += 1000
        await here.present(signJwt(stranger, claims({ jti: second })))
      }
      expect(here.reads).toBe(1 + 4)
    })

    it('is refused and not unavailable after the issuer has said that it has no such key', async () => {
      const here = world([rsa])
      expect(await here.present(signJwt(stranger, claims()))).toBeUndefined()
      expect(here.reads).toBe(1)
    })

    it('is unavailable when the issuer cannot be asked', async () => {
      const here = world([rsa])
      await here.present(signJwt(rsa, claims()))
      here.published = new Error('away')
      here.clock.now += 1
      for (let time = 0; time < 3; time++) {
        await expect(here.present(signJwt(stranger, claims({ time })))).rejects.toMatchObject({
          code: 'identity_unavailable',
          status: 503,
          retryAfterSeconds: 5,
        })
      }
      expect(here.reads).toBe(2)
    })
  })

  describe('whose keys are in a PEM file', () => {
    const pem = (key: SigningKey): string => String(key.publicKey.export({ type: 'spki', format: 'pem' }))

    it('is verified, whatever kid it names', async () => {
      const here = world([])
      here.published = pem(rsa)
      expect((await here.present(signJwt(rsa, claims())))?.id).toBe('ana')
      expect(await here.present(signJwt(stranger, claims()))).toBeUndefined()
    })

    it('is verified with any of several', async () => {
      const here = world([])
      here.published = `${pem(stranger)}\n${pem(rsa)}${pem(ec)}`
      expect((await here.present(signJwt(rsa, claims())))?.id).toBe('ana')
      expect((await here.present(signJwt(ec, claims())))?.id).toBe('ana')
    })

    it('is not verified by a public key that was taken for a secret', async () => {
      const here = world([])
      here.published = pem(rsa)
      for (const alg of ['HS256', 'RS256'])
        expect(await here.present(signHmac(pem(rsa), claims(), { alg }))).toBeUndefined()
    })
  })

  it('is not verified with a key too small to be one', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const small = { alg: 'RS256', kid: 'small', privateKey, publicKey, jwk: {} } as SigningKey
    const here = world([{ ...small, jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'small' } }])
    expect(await here.present(signJwt(small, claims()))).toBeUndefined()
  })
})
