import { describe, expect, it } from 'vitest'
import { admit, claimsOf, LimitRefusal } from '../../src/limits/admit.ts'
import { createLedger, type Reservation } from '../../src/limits/ledger.ts'
import { rateHeaders } from '../../src/limits/rate-headers.ts'
import { DONE, ONE } from '../support/amounts.ts'
import { thrownBy } from '../support/thrown.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')

describe('claimsOf', () => {
  it('makes of the limits of a decision what a ledger counts', () => {
    expect(
      claimsOf([
        { name: 'rpm', key: 'ana', unit: 'requests', limit: 60, window: '1m' },
        { name: 'streams', key: 'ana', unit: 'concurrency', limit: 4, mode: 'observe' },
      ]),
    ).toEqual([
      { name: 'rpm', key: 'ana', unit: 'requests', limit: 60, window: { ms: 60_000 }, observe: false },
      { name: 'streams', key: 'ana', unit: 'concurrency', limit: 4, window: undefined, observe: true },
    ])
  })
})

describe('admit', () => {
  const claims = claimsOf([
    { name: 'rpm', key: 'ana', unit: 'requests', limit: 1, window: '1m' },
    { name: 'streams', key: 'ana', unit: 'concurrency', limit: 5 },
  ])

  it('refuses with how long to wait and how all limits stand', () => {
    const ledger = createLedger()
    ;(admit(claims, ONE, NOON, ledger) as Reservation).settle(DONE)
    const error = thrownBy(() => admit(claims, ONE, NOON + 10_500, ledger)) as LimitRefusal
    expect(error).toBeInstanceOf(LimitRefusal)
    expect(error).toMatchObject({
      code: 'rate_limited',
      status: 429,
      retryAfterSeconds: 50,
      refusedBy: { claim: { name: 'rpm' } },
    })
    expect(error.standings.map(({ remaining }) => remaining)).toEqual([0, 5])
    expect(rateHeaders(error.standings, NOON + 10_500)).toContain('"rpm";r=0;t=50, "streams";r=5')
  })

  it('asks for a second at least, also at the very end of a window and for what has none', () => {
    const ledger = createLedger()
    admit(claims, ONE, NOON, ledger)
    expect(thrownBy(() => admit(claims, ONE, NOON + 59_999, ledger))).toMatchObject({ retryAfterSeconds: 1 })
    const none = claimsOf([{ name: 'streams', key: 'bob', unit: 'concurrency', limit: 0 }])
    expect(thrownBy(() => admit(none, ONE, NOON, ledger))).toMatchObject({ retryAfterSeconds: 1 })
  })

  it('does not tell the caller whose counter it was', () => {
    const secretive = claimsOf([
      { name: 'rpm', key: 'team:mergers', unit: 'requests', limit: 0, window: '1m' },
    ])
    const refusal = thrownBy(() => admit(secretive, ONE, NOON, createLedger())) as LimitRefusal
    const { title, standings } = refusal
    expect(`${title} ${rateHeaders(standings, NOON)}`).not.toContain('mergers')
  })
})
