import { describe, expect, it } from 'vitest'
import { createClaimsReader } from '../../src/identity/claims.ts'

const PATHS = { id: 'sub', kind: 'kind', roles: 'roles', team: 'team' }
const reader = (paths: object = {}, idPrefix = '') =>
  createClaimsReader({ paths: { ...PATHS, ...paths }, idPrefix, method: 'jwt' })

describe('claims', () => {
  it.each([
    ['a name', 'roles', { roles: ['a', 'b'] }],
    ['names joined with dots', 'realm_access.roles', { realm_access: { roles: ['a', 'b'] } }],
    ['a name that has dots itself', 'https://x.example/roles', { 'https://x.example/roles': ['a', 'b'] }],
    [
      'a JSON Pointer',
      '/resource_access/sallyport/roles',
      { resource_access: { sallyport: { roles: ['a', 'b'] } } },
    ],
    ['a JSON Pointer with escapes', '/https:~1~1x~0y', { 'https://x~y': ['a', 'b'] }],
    ['a JSON Pointer into a list', '/groups/1', { groups: ['x', 'a b'] }],
    ['words with blanks between them', 'scope', { scope: 'a  b ' }],
    ['the same role twice', 'roles', { roles: ['a', 'b', 'a'] }],
  ])('finds roles by %s', (_what, path, claims) => {
    expect(reader({ roles: path })({ sub: 'ana', ...claims })?.roles).toEqual(['a', 'b'])
  })

  it.each([
    [{}, 'no such claim'],
    [{ roles: null }, 'null'],
    [{ roles: [] }, 'an empty list'],
    [{ roles: '' }, 'no words'],
  ])('has no roles where there is %j: %s', (claims, _what) => {
    expect(reader()({ sub: 'ana', ...claims })?.roles).toEqual([])
  })

  it.each([
    { sub: undefined },
    { sub: 7 },
    { sub: '' },
    { roles: 7 },
    { roles: ['a', 7] },
    { roles: { 0: 'a' } },
    { team: 7 },
    { team: [] },
    { kind: {} },
    { exp: 'soon' },
    { exp: Number.POSITIVE_INFINITY },
  ])('names nobody when a claim is of the wrong type: %j', claims => {
    expect(reader()({ sub: 'ana', ...claims })).toBeUndefined()
  })

  it('never reads what every object inherits', () => {
    expect(reader({ roles: 'constructor.name' })({ sub: 'ana' })?.roles).toEqual([])
    expect(reader({ id: '__proto__' })({ sub: 'ana' })).toBeUndefined()
    expect(reader({ id: 'toString' })({ sub: 'ana' })).toBeUndefined()
  })

  it('takes the first id that is there', () => {
    const read = reader({ id: ['sub', 'client_id'] })
    expect(read({ sub: 'ana', client_id: 'web' })?.id).toBe('ana')
    expect(read({ client_id: 'web' })?.id).toBe('web')
    expect(read({ sub: 7, client_id: 'web' })).toBeUndefined()
  })

  it('keeps the principals of two issuers apart', () => {
    expect(reader({}, 'corp:')({ sub: 'ana' })?.id).toBe('corp:ana')
  })
})
