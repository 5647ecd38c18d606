import { describe, expect, it } from 'vitest'
import { LEASE_MS } from '../../src/contract/counters.ts'
import { type Ledger, NOTHING } from '../../src/limits/ledger.ts'
import type { SharedLedger } from '../../src/limits/shared-ledger.ts'
import { newId } from '../../src/server/ids.ts'
import { DONE, ONE } from '../support/amounts.ts'
import {
  isTaken,
  ledgerIn,
  left,
  MINUTE,
  NOON,
  requests,
  streams,
  take,
  taken,
  tokens,
} from '../support/ledgers.ts'
import { everyStore } from '../support/stores.ts'

/** Every ledger passes these, whatever store it is kept in. */
for (const [engine, { open, shared }] of Object.entries(everyStore())) {
  const newLedger = async (): Promise<Ledger> => ledgerIn((await open(() => NOON)).store)

  describe(`the ledger in ${engine}`, () => {
    it('ends a calendar window at midnight of its zone, also on a day of 23 hours', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 1, window: { calendar: 'calendar_day', zone: 'Europe/Berlin' } })
      const sunday = Date.parse('2026-03-29T00:30:00+01:00')
      const midnight = Date.parse('2026-03-30T00:00:00+02:00')
      expect((await taken(ledger, [claim], sunday)).standings[0]?.resetsAt).toBe(midnight)
      expect(midnight - Date.parse('2026-03-29T00:00:00+01:00')).toBe(23 * 3_600_000)
      expect(await isTaken(ledger, [claim], midnight - 1)).toBe(false)
      expect(await isTaken(ledger, [claim], midnight)).toBe(true)
    })

    it('takes the limits of one decision together or not at all', async () => {
      const ledger = await newLedger()
      const [first, second] = [requests(), streams()]
      const full = requests({ name: 'full', limit: 0 })
      for (const claims of [
        [full, first, second],
        [first, full, second],
        [first, second, full],
      ]) {
        expect(await take(ledger, claims)).toMatchObject({
          taken: false,
          refusedBy: { claim: { name: 'full' } },
        })
        expect([await left(ledger, first), await left(ledger, second)]).toEqual([2, 2])
      }
    })

    it('compares a raised or lowered limit at once', async () => {
      const ledger = await newLedger()
      for (let count = 0; count < 3; count++) await taken(ledger, [requests({ limit: 3 })])
      expect(await isTaken(ledger, [requests({ limit: 3 })])).toBe(false)
      expect((await taken(ledger, [requests({ limit: 5 })])).standings[0]?.remaining).toBe(1)
      expect(await isTaken(ledger, [requests({ limit: 2 })])).toBe(false)
      expect(await left(ledger, requests({ limit: 2 }))).toBe(0)
    })

    it('charges a counter that is named twice once, and holds the tighter limit', async () => {
      const ledger = await newLedger()
      const claims = [requests({ limit: 5, observe: true }), requests({ limit: 1 })]
      expect((await taken(ledger, claims)).standings.map(({ remaining }) => remaining)).toEqual([4, 0])
      expect(await isTaken(ledger, claims)).toBe(false)
      expect(await left(ledger, requests({ limit: 5 }))).toBe(4)
    })

    it('counts what is only observed, and never refuses it', async () => {
      const ledger = await newLedger()
      for (let count = 0; count < 4; count++)
        expect(await isTaken(ledger, [requests({ limit: 1, observe: true })])).toBe(true)
      expect(await isTaken(ledger, [requests({ limit: 4 })])).toBe(false)
    })

    it('settles on what was used, once, in the window that was charged', async () => {
      const ledger = await newLedger()
      const claim = tokens({ limit: 100 })
      const reserved = { ...NOTHING, tokens: 60 }
      const one = await taken(ledger, [claim], NOON, reserved)
      one.settle({ ...NOTHING, tokens: 10 })
      one.settle({ ...NOTHING, tokens: 50 })
      one.giveBack()
      await expect.poll(() => left(ledger, claim)).toBe(90)
      const late = await taken(ledger, [claim], NOON, reserved)
      await taken(ledger, [claim], NOON + MINUTE, reserved)
      late.settle(NOTHING)
      const other = await taken(ledger, [tokens({ key: 'marker' })], NOON, { ...NOTHING, tokens: 2 })
      other.giveBack()
      await expect.poll(() => left(ledger, tokens({ key: 'marker' }))).toBe(2)
      expect(await left(ledger, claim, NOON + MINUTE)).toBe(40)
    })

    it('charges more than was reserved, over the limit if it must', async () => {
      const ledger = await newLedger()
      const claim = tokens({ limit: 100 })
      const one = await taken(ledger, [claim], NOON, { ...NOTHING, tokens: 10 })
      one.settle({ ...NOTHING, tokens: 150 })
      await expect.poll(() => left(ledger, claim)).toBe(0)
      expect(await isTaken(ledger, [{ ...claim, limit: 149 }])).toBe(false)
    })

    it('gives back what is held while a request runs, and not the request', async () => {
      const ledger = await newLedger()
      const claims = [requests(), streams({ limit: 1 })]
      const one = await taken(ledger, claims)
      expect(await isTaken(ledger, claims)).toBe(false)
      one.settle(DONE)
      await expect.poll(() => left(ledger, streams({ limit: 1 }))).toBe(1)
      expect(await left(ledger, requests())).toBe(1)
    })

    it('sums a cost without dust', async () => {
      const ledger = await newLedger()
      const cost = requests({ name: 'budget', unit: 'cost', limit: 0.3 })
      for (let count = 0; count < 3; count++) await taken(ledger, [cost], NOON, { ...NOTHING, cost: 0.1 })
      expect(await left(ledger, cost)).toBe(0)
      expect((await take(ledger, [cost], NOON, { ...NOTHING, cost: 0.1 })).taken).toBe(false)
    })

    it('is not confused by anything that a key may hold', async () => {
      const ledger = await newLedger()
      for (const key of ['a', 'a\n', '\na', 'requests\n60000\na', '__proto__', '☃', '{b}', "'; --", 'a,b'])
        expect(await isTaken(ledger, [requests({ key, limit: 1 })])).toBe(true)
    })

    if (!shared) return

    const twoLedgers = async (): Promise<[SharedLedger, SharedLedger]> => {
      const { store, another } = await open(() => NOON)
      return [ledgerIn(store) as SharedLedger, ledgerIn(await another()) as SharedLedger]
    }

    it('is one for all gateways', async () => {
      const [one, other] = await twoLedgers()
      const admitted = await Promise.all(
        Array.from({ length: 50 }, (_, turn) => isTaken(turn % 2 ? one : other, [requests({ limit: 20 })])),
      )
      expect(admitted.filter(Boolean)).toHaveLength(20)
      expect([await left(one, requests({ limit: 20 })), await left(other, requests({ limit: 20 }))]).toEqual([
        0, 0,
      ])
    })

    it('keeps its counts when a gateway goes and another comes', async () => {
      const [one, other] = await twoLedgers()
      const running = await taken(one, [requests(), streams()])
      running.settle(DONE)
      await expect.poll(() => left(other, streams())).toBe(2)
      expect(await left(other, requests())).toBe(1)
    })

    it('charges what was admitted without the store, whatever the limits are', async () => {
      const [ledger, other] = await twoLedgers()
      const bills = [undefined, MINUTE].map(rollingMs => ({
        ...{ name: 'x', amount: 5, limit: 1, endsAt: NOON + MINUTE, rollingMs },
      }))
      const order = { id: newId(NOON), force: true, bills }
      const count = { used: 5, endsAt: NOON + MINUTE }
      const taken = { refusedBy: undefined, counts: [count, count], fitsAt: undefined }
      expect(await ledger.charge(order, NOON)).toEqual(taken)
      // A store that may lose an answer is asked again, and has charged it once.
      if (engine === 'redis') expect(await ledger.charge(order, NOON)).toEqual(taken)
      other.settle({ ...order, id: 'unknown' }, taken, [0, 0])
    })

    it('knows how many gateways share it', async () => {
      const [one, other] = await twoLedgers()
      expect([await one.renew(NOON), await other.renew(NOON), await one.renew(NOON)]).toEqual([1, 2, 2])
    })
  })
}

describe('a lease', () => {
  const maker = everyStore().sqlite
  it('ends by itself when its gateway has died, and not while it lives', async () => {
    const { store, another } = await (maker as NonNullable<typeof maker>).open(() => NOON)
    const [lives, died] = [ledgerIn(store) as SharedLedger, ledgerIn(await another()) as SharedLedger]
    const claim = streams({ limit: 5 })
    await lives.take([claim], ONE, NOON)
    await died.take([claim], ONE, NOON)
    expect((await lives.look([claim], NOON))[0]?.remaining).toBe(3)
    for (const at of [LEASE_MS / 3, (LEASE_MS / 3) * 2, LEASE_MS - 1]) await lives.renew(NOON + at)
    expect((await lives.look([claim], NOON + LEASE_MS - 1))[0]?.remaining).toBe(3)
    expect((await lives.look([claim], NOON + LEASE_MS))[0]?.remaining).toBe(4)
  })
})
