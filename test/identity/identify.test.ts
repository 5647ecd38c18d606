import { describe, expect, it } from 'vitest'
import type { Principal } from '../../src/contract/input.schema.ts'
import type { PresentedCertificate } from '../../src/contract/request.ts'
import { type Credentials, identify, type Methods } from '../../src/identity/identify.ts'
import { thrownBy } from '../support/thrown.ts'

const principal = (id: string): Principal => ({
  id,
  kind: 'service',
  roles: [],
  team: null,
  authenticated: id !== 'guest',
  method: 'api_key',
  key_id: null,
  claims: {},
  expires_at: null,
})
/** `ana-1` and `ana-2` are two keys of one principal. */
const known = (secret: string) => (/^(ana|bob)-\d$/.test(secret) ? principal(secret.slice(0, 3)) : undefined)

const NONE: Credentials = { authorization: undefined, 'x-api-key': undefined, 'api-key': undefined }
const ask = (credentials: Partial<Credentials>, anonymous?: Principal) =>
  identify(
    { ...NONE, ...credentials },
    0,
    { known: [known], asked: [], certificate: undefined, anonymous },
    neverAsked,
  ) as Principal
const neverAsked = () => Promise.reject(new Error('nobody is to be asked'))

describe('identify', () => {
  it.each([
    ['OpenAI', { authorization: 'Bearer ana-1' }],
    ['a small letter', { authorization: 'bearer ana-1' }],
    ['capitals', { authorization: 'BEARER ana-1' }],
    ['several blanks', { authorization: 'Bearer   ana-1' }],
    ['Anthropic', { 'x-api-key': 'ana-1' }],
    ['Azure', { 'api-key': 'ana-1' }],
  ])('takes a key as clients of %s send it', (_who, credentials) => {
    expect(ask(credentials).id).toBe('ana')
  })

  it.each([
    ['unknown', { authorization: 'Bearer nobody' }],
    ['empty', { authorization: '' }],
    ['empty, in x-api-key', { 'x-api-key': '' }],
    ['without a secret', { authorization: 'Bearer' }],
    ['with a blank secret', { authorization: 'Bearer ' }],
    ['of another scheme', { authorization: 'Basic YTpi' }],
    ['without a scheme', { authorization: 'ana-1' }],
    ['two in one', { authorization: 'Bearer ana-1 ana-1' }],
    ['two joined', { authorization: 'Bearer ana-1, Bearer ana-1' }],
    ['with a tab', { authorization: 'Bearer\tana-1' }],
  ])('refuses a credential that is %s, even where anonymous callers are let in', (_what, credentials) => {
    for (const anonymous of [undefined, principal('guest')]) {
      const error = thrownBy(() => ask(credentials, anonymous))
      expect(error).toMatchObject({ code: 'unauthenticated', status: 401 })
      expect(error.headers?.['www-authenticate']).toBe('Bearer realm="sallyport", error="invalid_token"')
    }
  })

  it('refuses who presents nothing, and names no error (RFC 6750 §3.1)', () => {
    expect(thrownBy(() => ask({}))).toMatchObject({
      code: 'unauthenticated',
      headers: { 'www-authenticate': 'Bearer realm="sallyport"' },
    })
  })

  it('takes who presents nothing for the anonymous principal, where there is one', () => {
    expect(ask({}, principal('guest')).id).toBe('guest')
  })

  it('takes the same key twice, and two keys of one principal', () => {
    expect(ask({ authorization: 'Bearer ana-1', 'x-api-key': 'ana-1' }).id).toBe('ana')
    expect(ask({ authorization: 'Bearer ana-1', 'api-key': 'ana-2' }).id).toBe('ana')
  })

  it('refuses the keys of two principals: who is charged must not depend on which header is read first', () => {
    expect(thrownBy(() => ask({ authorization: 'Bearer ana-1', 'x-api-key': 'bob-1' }))).toMatchObject({
      code: 'invalid_request',
      status: 400,
    })
  })

  it.each([
    { authorization: 'Bearer ana-1', 'x-api-key': 'nobody' },
    { authorization: 'Bearer nobody', 'x-api-key': 'ana-1' },
    { authorization: 'Basic YTpi', 'x-api-key': 'ana-1' },
    { 'x-api-key': 'ana-1', 'api-key': '' },
  ])('refuses a good key with a bad one beside it: %j', credentials => {
    expect(thrownBy(() => ask(credentials)).code).toBe('unauthenticated')
  })

  it('never repeats a credential', () => {
    const error = thrownBy(() => ask({ authorization: 'Bearer s3cret-value' })) as Error & { title: string }
    expect(`${error.message} ${error.title} ${JSON.stringify(error)}`).not.toContain('s3cret-value')
  })
})

describe('identify, where somebody can be asked', () => {
  const asked: string[] = []
  const methods: Methods = {
    known: [known],
    asked: [
      (secret: string) => {
        if (!secret.startsWith('eve')) return undefined
        asked.push(secret)
        return Promise.resolve(secret === 'eve-1' ? principal('eve') : undefined)
      },
      (secret: string) => {
        asked.push(secret)
        return Promise.resolve(secret === 'sam-1' ? principal('sam') : undefined)
      },
    ],
    certificate: ({ subject }) => principal(subject),
    anonymous: undefined,
  }
  const admit = () => Promise.resolve()
  const askAll = async (credentials: Partial<Credentials>, admitWork = admit) => {
    asked.length = 0
    return (await identify({ ...NONE, ...credentials }, 0, methods, admitWork)).id
  }
  const certificate = (subject: string, verified = true): PresentedCertificate => ({
    verified,
    subject,
    uris: [],
    dns: [],
    emails: [],
    issuer: null,
    serial: null,
    fingerprint: null,
    notBefore: null,
    notAfter: null,
  })

  it('asks nobody about what is cheap to know', async () => {
    expect(await askAll({ authorization: 'Bearer ana-1' }, neverAsked)).toBe('ana')
    expect(asked).toEqual([])
  })

  it('asks who can tell, and only the one whose kind it is', async () => {
    expect(await askAll({ authorization: 'Bearer eve-1' })).toBe('eve')
    expect(asked).toEqual(['eve-1'])
    await expect(askAll({ authorization: 'Bearer eve-2' })).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(asked).toEqual(['eve-2'])
    expect(await askAll({ authorization: 'Bearer sam-1' })).toBe('sam')
  })

  it('shows nobody one of our own keys', async () => {
    await expect(askAll({ authorization: 'Bearer slp_x' }, neverAsked)).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    expect(asked).toEqual([])
  })

  it('does no work for whom none may be done', async () => {
    const refusal = () => Promise.reject(new Error('too many'))
    await expect(askAll({ authorization: 'Bearer eve-1' }, refusal)).rejects.toThrow('too many')
    expect(asked).toEqual([])
  })

  it('takes several credentials of one principal, of whatever kind, and refuses those of two', async () => {
    expect(await askAll({ authorization: 'Bearer eve-1', 'x-api-key': 'eve-1' })).toBe('eve')
    expect(await askAll({ authorization: 'Bearer eve-1', certificate: certificate('eve') })).toBe('eve')
    expect(await askAll({ authorization: 'Bearer ana-1', certificate: certificate('ana') })).toBe('ana')
    for (const two of [
      { authorization: 'Bearer eve-1', 'x-api-key': 'ana-1' },
      { authorization: 'Bearer ana-1', 'x-api-key': 'eve-1' },
      { authorization: 'Bearer eve-1', certificate: certificate('ana') },
      { authorization: 'Bearer ana-1', certificate: certificate('eve') },
    ]) {
      await expect(askAll(two)).rejects.toMatchObject({ code: 'invalid_request', status: 400 })
    }
  })

  it('takes a certificate alone, and refuses one that was not verified, whatever stands beside it', async () => {
    expect(await askAll({ certificate: certificate('ana') })).toBe('ana')
    for (const beside of [{}, { authorization: 'Bearer ana-1' }]) {
      await expect(askAll({ ...beside, certificate: certificate('ana', false) })).rejects.toMatchObject({
        code: 'unauthenticated',
      })
    }
  })
})
