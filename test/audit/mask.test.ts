import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BadMask, masked, withheld } from '../../src/audit/mask.ts'

const RECORD =
  '{"event":"decision","decision_id":"d1","timestamp":"2026-01-01T00:00:00.000Z","requested_by":"10.0.0.1","http":{"method":"POST","path":"/v1/x"},"principal":{"id":"ana","claims":{"email":"a@b"}},"input":{"request":{"client_ip":"10.0.0.1","headers":{"x-team":"search","a/b~c":"odd"},"body":{"n":1.10,"list":[1,{"a":2},3]}},"principal":{"id":"ana","claims":{"email":"a@b"}},"time":{"now_ns":1790000000000000001}},"result":{"allow":true},"labels":{},"erased":["/input/request/body/messages"]}'
const KEY = '0123456789abcdef'

// biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
function mask(rules: readonly unknown[], key?: string): Record<string, any> & { text: string } {
  const text = masked(RECORD, JSON.stringify(rules), key)
  return { ...JSON.parse(text), text }
}

describe('a mask', () => {
  it('leaves a record as it is when there is nothing to mask', () => {
    expect(masked(RECORD, undefined, undefined)).toBe(RECORD)
    expect(masked(RECORD, '[]', undefined)).toBe(RECORD)
  })

  it('removes what a pointer names, keeps every digit of the rest, and says what is gone', () => {
    const record = mask(['/input/request/headers/x-team'])
    expect(record.input.request.headers).toEqual({ 'a/b~c': 'odd' })
    expect(record.erased).toEqual(['/input/request/body/messages', '/input/request/headers/x-team'])
    expect(record.masked).toBeUndefined()
    expect(record.text).toContain('"now_ns":1790000000000000001')
    expect(record.text).toContain('"n":1.10')
  })

  it('reads the escapes of a pointer, and an index of a list', () => {
    const record = mask([
      '/input/request/headers/a~1b~0c',
      { op: 'remove', path: '/input/request/body/list/1' },
    ])
    expect(record.input.request.headers).toEqual({ 'x-team': 'search' })
    expect(record.input.request.body.list).toEqual([1, 3])
  })

  it('puts another value in place, also where there was none', () => {
    const record = mask([
      { op: 'upsert', path: '/input/request/headers/x-team', value: { was: 'a team' } },
      { op: 'upsert', path: '/input/new/deep', value: null },
    ])
    expect(record.input.request.headers['x-team']).toEqual({ was: 'a team' })
    expect(record.input.new).toEqual({ deep: null })
    expect(record.masked).toEqual(['/input/request/headers/x-team', '/input/new/deep'])
  })

  it('puts a keyed hash in place, equal for equal values only', () => {
    const record = mask([{ op: 'hash', path: '/input/request/headers/x-team' }], KEY)
    const hash = createHmac('sha256', KEY).update('search').digest('hex')
    expect(record.input.request.headers['x-team']).toBe(`hmac-sha256:${hash}`)
    expect(record.masked).toEqual(['/input/request/headers/x-team'])
    expect(record.text).not.toContain('search')
  })

  it('also masks what the record says a second time', () => {
    const record = mask(
      [
        { op: 'hash', path: '/input/principal/id' },
        '/input/principal/claims/email',
        '/input/request/client_ip',
      ],
      KEY,
    )
    expect(record.principal.id).toBe(record.input.principal.id)
    expect(record.text).not.toMatch(/ana|a@b|10\.0\.0\.1/)
    expect(record.masked).toEqual(['/input/principal/id', '/principal/id'])
  })

  it('passes over what is not there', () => {
    const record = mask(['/input/request/headers/none', '/input/request/headers/x-team/deeper', '/response'])
    expect(record.erased).toEqual(['/input/request/body/messages'])
  })

  it.each([
    ['a pointer that is none', ['input/request']],
    ['a place that cannot be masked', ['/decision_id']],
    ['an op that is none', [{ op: 'delete', path: '/input' }]],
    ['no path', [{ op: 'remove' }]],
    ['a number', [7]],
    ['a hash without a key', [{ op: 'hash', path: '/input/request/client_ip' }]],
  ])('refuses %s', (_, rules) => {
    expect(() => mask(rules)).toThrow(BadMask)
  })

  it('refuses an answer that is no set', () => {
    expect(() => masked(RECORD, '{"a":1}', undefined)).toThrow(BadMask)
  })
})

describe('a record that could not be masked', () => {
  it('is kept without anything that a mask may reach', () => {
    const text = withheld(RECORD, 'builtin_failed')
    const record = JSON.parse(text)
    expect(text).not.toMatch(/ana|search|10\.0\.0\.1|v1\/x/)
    expect(record).toMatchObject({
      event: 'decision',
      decision_id: 'd1',
      mask_error: 'builtin_failed',
      http: { method: 'POST' },
    })
    expect(record.erased).toEqual(expect.arrayContaining(['/input', '/result', '/principal', '/http/path']))
  })
})
