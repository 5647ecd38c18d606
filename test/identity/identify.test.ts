import { describe, expect, it } from 'vitest'
import type { Principal } from '../../src/contract/input.schema.ts'
import { type Credentials, identify } from '../../src/identity/identify.ts'
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
const keyring = {
  principalOf: (secret: string) =>
    /^(ana|bob)-\d$/.test(secret) ? principal(secret.slice(0, 3)) : undefined,
}

const NONE: Credentials = { authorization: undefined, 'x-api-key': undefined, 'api-key': undefined }
const ask = (credentials: Partial<Credentials>, anonymous?: Principal) =>
  identify({ ...NONE, ...credentials }, 0, { keyring, anonymous })

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
