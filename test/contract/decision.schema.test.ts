import { describe, expect, it } from 'vitest'
import { decisionSchema } from '../../src/contract/decision.schema.ts'
import { compileSchema } from '../../src/contract/schema.ts'

const validate = compileSchema(decisionSchema)
const fits = (decision: unknown): boolean => validate(decision).length === 0
const limit = { name: 'rpm', key: 'ci-bot', unit: 'requests', limit: 60, window: '1m' }

describe('the decision schema', () => {
  it('takes the allowing example of the contract', () => {
    expect(
      validate({
        allow: true,
        rule: 'developers_office_hours',
        reasons: ['role developer may call tiny on weekdays 08:00–18:00 Europe/Berlin'],
        pool: 'chat',
        priority: 5,
        limits: [
          { name: 'requests_per_minute', key: 'team:search', unit: 'requests', limit: 60, window: '1m' },
          { name: 'streams', key: 'ci-bot', unit: 'concurrency', limit: 4 },
        ],
        rewrite: {
          model: 'tiny-q4',
          max_tokens: 256,
          headers: { set: { 'x-team': 'search' }, remove: ['x-debug'] },
        },
        audit: { content: 'none', labels: { cost_center: '42' } },
        expires_at: '2026-01-01T18:00:00Z',
      }),
    ).toEqual([])
  })

  it('takes the refusing example of the contract', () => {
    expect(
      validate({
        allow: false,
        status: 403,
        code: 'outside_hours',
        message: '…',
        reasons: ['…'],
        retry_after: '9h',
        access: { requestable: true, models: ['tiny'], max_duration: '2h' },
      }),
    ).toEqual([])
  })

  it('takes several pools', () => {
    expect(fits({ allow: true, pools: ['gpu', 'cpu'] })).toBe(true)
    expect(fits({ allow: true, pools: [] })).toBe(false)
  })

  it.each([
    ['at the top', { allow: true, limit: [] }],
    ['in a limit', { allow: true, limits: [{ ...limit, windw: '1m' }] }],
    ['in rewrite', { allow: true, rewrite: { maxTokens: 1 } }],
    ['in rewrite.headers', { allow: true, rewrite: { headers: { add: {} } } }],
    ['in audit', { allow: true, audit: { contents: 'all' } }],
    ['in access', { allow: false, access: { requestable: true, for: '2h' } }],
  ])('refuses an unknown key %s: a misspelt limit must not be no limit', (_where, decision) => {
    expect(validate(decision)[0]?.keyword).toBe('additionalProperties')
  })

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['true by itself', true],
    ['a set', ['allow']],
    ['no allow', {}],
    ['allow as text', { allow: 'true' }],
    ['allow as 1', { allow: 1 }],
  ])('refuses %s', (_what, decision) => {
    expect(fits(decision)).toBe(false)
  })

  it('wants a window of every limit but concurrency, and none of that', () => {
    const { window: _, ...windowless } = limit
    expect(fits({ allow: true, limits: [windowless] })).toBe(false)
    expect(fits({ allow: true, limits: [{ ...windowless, unit: 'concurrency' }] })).toBe(true)
    expect(fits({ allow: true, limits: [{ ...limit, unit: 'concurrency' }] })).toBe(false)
  })

  it.each([
    ['a name that could split a header', { ...limit, name: 'a"\r\nx: y' }],
    ['an empty key: everybody would share it', { ...limit, key: '' }],
    ['a limit below zero', { ...limit, limit: -1 }],
    ['a limit as text', { ...limit, limit: '60' }],
    ['a window that is no duration', { ...limit, window: '1 minute' }],
    ['a window of no length: it would be no limit at all', { ...limit, window: '0s' }],
    ['a window of no length, in other words', { ...limit, window: '0h0.0m' }],
    ['an unknown unit', { ...limit, unit: 'requets' }],
    ['an unknown mode', { ...limit, mode: 'warn' }],
  ])('refuses a limit with %s', (_what, broken) => {
    expect(fits({ allow: true, limits: [broken] })).toBe(false)
  })

  it('lets a limit observe, and forbid all', () => {
    expect(
      fits({
        allow: true,
        limits: [
          { ...limit, mode: 'observe' },
          { ...limit, limit: 0 },
        ],
      }),
    ).toBe(true)
  })

  it.each(['a\r\nx-admin: 1', 'a\nb', 'a\0b', 'a\x7fb', 'snow ☃'])(
    'refuses the header value %j: a policy must not be able to split a header',
    value => {
      expect(fits({ allow: true, rewrite: { headers: { set: { 'x-team': value } } } })).toBe(false)
    },
  )

  it.each(['x team', 'x:team', 'x\r\nteam', ''])('refuses the header name %j', name => {
    expect(fits({ allow: true, rewrite: { headers: { set: { [name]: 'a' } } } })).toBe(false)
  })

  it.each([0, -1, 1.5, '256', null])('refuses %j as a ceiling of tokens', max_tokens => {
    expect(fits({ allow: true, rewrite: { max_tokens } })).toBe(false)
  })

  it.each([
    [400, true],
    [404, true],
    [499, true],
    [503, true],
    [200, false],
    [302, false],
    [399, false],
    [500, false],
    [502, false],
    [403.5, false],
  ])('takes status %d: %s', (status, good) => {
    expect(fits({ allow: false, status })).toBe(good)
  })

  it('takes any snake_case code and nothing else', () => {
    expect(fits({ allow: false, code: 'contract_ended_2' })).toBe(true)
    for (const code of ['Outside', 'out-side', '2late', '', 'a\nb'])
      expect(fits({ allow: false, code })).toBe(false)
  })

  it('wants an instant with a zone in expires_at', () => {
    expect(fits({ allow: true, expires_at: '2026-01-01T18:00:00' })).toBe(false)
  })
})
