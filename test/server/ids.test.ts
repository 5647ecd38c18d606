import { describe, expect, it } from 'vitest'
import { newId, requestIdOf } from '../../src/server/ids.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')

describe('newId', () => {
  it('is a ULID', () => {
    expect(newId(NOON)).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
    // From the ULID specification: its time part for this instant.
    expect(newId(1469918176385).slice(0, 10)).toBe('01ARYZ6S41')
  })

  it('sorts by time', () => {
    const ids = [0, 1, 31, 32, 1000, 10_000_000].map(later => newId(NOON + later))
    expect([...ids].sort()).toEqual(ids)
  })

  it('is never the same twice, also in one millisecond', () => {
    const ids = new Set(Array.from({ length: 20_000 }, () => newId(NOON)))
    expect(ids.size).toBe(20_000)
  })
})

describe('requestIdOf', () => {
  it.each(['a', 'req-1/2:3', '{"x"}', '~'.repeat(128)])('keeps %s', given => {
    expect(requestIdOf(given, 'ours')).toBe(given)
  })

  it.each([undefined, '', ' a', 'a b', 'a\tb', 'a\r\nb', 'ü', '\x7f', '~'.repeat(129)])(
    'replaces %j',
    given => {
      expect(requestIdOf(given, 'ours')).toBe('ours')
    },
  )
})
