import { describe, expect, it } from 'vitest'
import {
  type Claim,
  createLedger,
  type MemoryLedger as Ledger,
  type Reservation,
} from '../../src/limits/ledger.ts'
import { DONE, ONE } from '../support/amounts.ts'
import { MINUTE, NOON, requests, streams } from '../support/ledgers.ts'

function taken(ledger: Ledger, claims: readonly Claim[], now = NOON): Reservation {
  const taking = ledger.take(claims, ONE, now)
  if (!taking.taken) throw new Error(`refused by ${taking.refusedBy.claim.name}`)
  return taking.reservation
}
const isTaken = (ledger: Ledger, claims: readonly Claim[], now = NOON): boolean =>
  ledger.take(claims, ONE, now).taken
const left = (ledger: Ledger, claim: Claim, now = NOON): number | undefined =>
  ledger.look([claim], now)[0]?.remaining

describe('a window', () => {
  it('longer than a Node timer can hold still counts', () => {
    const ledger = createLedger()
    const claim = requests({ limit: 1, window: { ms: 400 * 86_400_000 } })
    taken(ledger, [claim])
    expect(isTaken(ledger, [claim], NOON + 399 * 86_400_000)).toBe(false)
    expect(isTaken(ledger, [claim], NOON + 400 * 86_400_000)).toBe(true)
  })
})

describe('a counter', () => {
  it.each([
    ['key', { key: 'bob' }],
    ['name', { name: 'other' }],
    ['window', { window: { ms: 2 * MINUTE } }],
    ['unit', { unit: 'concurrency', window: undefined }],
  ] as const)('is another one for another %s', (_what, members) => {
    const ledger = createLedger()
    taken(ledger, [requests({ limit: 1 })])
    expect(isTaken(ledger, [requests({ limit: 1 })])).toBe(false)
    expect(isTaken(ledger, [requests({ limit: 1, ...members })])).toBe(true)
  })

  it('is not confused by anything that a key may hold', () => {
    const ledger = createLedger()
    for (const key of ['a', 'a\n', '\na', 'requests\n60000\na', '__proto__', '☃'])
      expect(isTaken(ledger, [requests({ key, limit: 1 })])).toBe(true)
  })

  it('is the same one when the limit is raised or lowered, at once', () => {
    const ledger = createLedger()
    for (let count = 0; count < 3; count++) taken(ledger, [requests({ limit: 3 })])
    expect(isTaken(ledger, [requests({ limit: 3 })])).toBe(false)
    expect(taken(ledger, [requests({ limit: 5 })]).standings[0]?.remaining).toBe(1)
    expect(isTaken(ledger, [requests({ limit: 2 })])).toBe(false)
    expect(left(ledger, requests({ limit: 2 }))).toBe(0)
  })
})

describe('the limits of one decision', () => {
  it('are taken together or not at all, wherever the refusing one stands', () => {
    const full = requests({ name: 'full', limit: 0 })
    const [first, second] = [requests({ name: 'first' }), streams({ name: 'second' })]
    for (const claims of [
      [full, first, second],
      [first, full, second],
      [first, second, full],
    ]) {
      const ledger = createLedger()
      const refused = ledger.take(claims, ONE, NOON)
      expect(refused).toMatchObject({ taken: false, refusedBy: { claim: { name: 'full' } } })
      expect([left(ledger, first), left(ledger, second)]).toEqual([2, 2])
    }
  })

  it('are all told when one refuses, as they stand without this request', () => {
    const ledger = createLedger()
    taken(ledger, [requests()])
    const refused = ledger.take([requests(), streams({ limit: 0 })], ONE, NOON)
    expect(!refused.taken && refused.standings.map(standing => standing.remaining)).toEqual([1, 0])
  })

  it('charge a counter that they name twice once, and hold the tighter of the two', () => {
    for (const claims of [
      [requests({ limit: 1 }), requests({ limit: 5 })],
      [requests({ limit: 5 }), requests({ limit: 1 })],
      [requests({ limit: 5, observe: true }), requests({ limit: 1 })],
      [requests({ limit: 1 }), requests({ limit: 1 })],
    ]) {
      const ledger = createLedger()
      expect(taken(ledger, claims).standings).toHaveLength(2)
      expect(left(ledger, requests({ limit: 5 }))).toBe(4)
      expect(isTaken(ledger, claims)).toBe(false)
      expect(left(ledger, requests({ limit: 5 }))).toBe(4)
    }
  })

  it('give back a counter that they name twice once', () => {
    const ledger = createLedger()
    const claims = [streams({ limit: 3 }), streams({ limit: 2 })]
    const [one] = [taken(ledger, claims), taken(ledger, claims)]
    one.settle(DONE)
    expect(left(ledger, streams({ limit: 3 }))).toBe(2)
  })

  it('may be none', () => {
    expect(taken(createLedger(), []).standings).toEqual([])
  })
})

describe('a limit', () => {
  it('of zero lets nothing through', () => {
    expect(isTaken(createLedger(), [requests({ limit: 0 })])).toBe(false)
  })

  it('that is no whole number lets through what fits whole', () => {
    const ledger = createLedger()
    expect(taken(ledger, [requests({ limit: 1.9 })]).standings[0]?.remaining).toBe(0)
    expect(isTaken(ledger, [requests({ limit: 1.9 })])).toBe(false)
  })

  it('that observes counts and never refuses', () => {
    const ledger = createLedger()
    const observed = requests({ limit: 1, observe: true })
    for (let count = 0; count < 5; count++) expect(isTaken(ledger, [observed])).toBe(true)
    expect(isTaken(ledger, [requests({ limit: 5 })])).toBe(false)
    expect(left(ledger, observed)).toBe(0)
  })

  it('that observes is not charged when another refuses', () => {
    const ledger = createLedger()
    ledger.take([requests({ observe: true }), streams({ limit: 0 })], ONE, NOON)
    expect(left(ledger, requests())).toBe(2)
  })
})

describe('a reservation', () => {
  it('gives back what is held while a request runs, once', () => {
    const ledger = createLedger()
    const [one] = [taken(ledger, [streams()]), taken(ledger, [streams()])]
    expect(isTaken(ledger, [streams()])).toBe(false)
    one.settle(DONE)
    one.settle(DONE)
    expect(left(ledger, streams())).toBe(1)
  })

  it('does not give back the request itself at its end', () => {
    const ledger = createLedger()
    taken(ledger, [requests(), streams()]).settle(DONE)
    expect([left(ledger, requests()), left(ledger, streams())]).toEqual([1, 2])
  })

  it('is undone whole for a request that had no effect, once, and then releases nothing more', () => {
    const ledger = createLedger()
    const one = taken(ledger, [requests(), streams()])
    taken(ledger, [requests(), streams()])
    one.giveBack()
    one.giveBack()
    one.settle(DONE)
    expect([left(ledger, requests()), left(ledger, streams())]).toEqual([1, 1])
  })

  it('that was released is not undone', () => {
    const ledger = createLedger()
    const one = taken(ledger, [requests()])
    one.settle(DONE)
    one.giveBack()
    expect(left(ledger, requests())).toBe(1)
  })

  it('given back after its window does not lighten the next window', () => {
    const ledger = createLedger()
    const early = taken(ledger, [requests()])
    taken(ledger, [requests()], NOON + MINUTE)
    early.giveBack()
    expect(left(ledger, requests(), NOON + MINUTE)).toBe(1)
  })

  it('holds a stream over any number of windows', () => {
    const ledger = createLedger()
    const long = taken(ledger, [streams({ limit: 1 })])
    expect(isTaken(ledger, [streams({ limit: 1 })], NOON + 365 * 86_400_000)).toBe(false)
    long.settle(DONE)
    expect(isTaken(ledger, [streams({ limit: 1 })], NOON)).toBe(true)
  })
})

describe('looking', () => {
  it('spends nothing and keeps nothing', () => {
    const ledger = createLedger()
    for (let count = 0; count < 10; count++) ledger.look([requests(), streams()], NOON)
    expect(left(ledger, requests())).toBe(2)
    expect(ledger.size()).toBe(0)
  })
})

describe('memory', () => {
  it('is given back by counters whose window has ended', () => {
    const ledger = createLedger()
    for (let count = 0; count < 4000; count++) taken(ledger, [requests({ key: `caller-${count}` })])
    expect(ledger.size()).toBe(4000)
    for (let count = 0; count < 200; count++) taken(ledger, [requests({ limit: 1000 })], NOON + MINUTE)
    expect(ledger.size()).toBe(1)
  })

  it('keeps, in a sweep, what still counts', () => {
    const ledger = createLedger()
    taken(ledger, [streams({ limit: 1 })])
    taken(ledger, [requests({ key: 'slow', limit: 1, window: { ms: 60 * MINUTE } })])
    for (let count = 0; count < 5000; count++)
      taken(ledger, [requests({ key: `caller-${count}` })], NOON + MINUTE)
    expect(isTaken(ledger, [streams({ limit: 1 })], NOON + MINUTE)).toBe(false)
    expect(
      isTaken(ledger, [requests({ key: 'slow', limit: 1, window: { ms: 60 * MINUTE } })], NOON + MINUTE),
    ).toBe(false)
  })

  it('is not taken by what was refused', () => {
    const ledger = createLedger()
    for (let count = 0; count < 1000; count++)
      ledger.take([streams({ key: `caller-${count}`, limit: 0 })], ONE, NOON)
    for (let count = 0; count < 1000; count++)
      ledger.take([requests({ key: `caller-${count}`, limit: 0 })], ONE, NOON)
    expect(ledger.size()).toBe(0)
  })

  it('is given back by streams that ended', () => {
    const ledger = createLedger()
    for (let count = 0; count < 1000; count++)
      taken(ledger, [streams({ key: `caller-${count}` })]).settle(DONE)
    expect(ledger.size()).toBe(0)
  })
})
