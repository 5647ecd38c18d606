import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Amounts, type Claim, type Ledger, NOTHING, type Reservation } from '../../src/limits/ledger.ts'
import type { SharedLedger } from '../../src/limits/shared-ledger.ts'
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

const HOUR = 60 * MINUTE
const SLOT = MINUTE / 60
const some = (tokens: number): Amounts => ({ ...NOTHING, tokens })

/** A window rolls alike in every store. */
for (const [engine, { open, shared }] of Object.entries(everyStore())) {
  const newLedger = async (): Promise<Ledger> => ledgerIn((await open(() => NOON)).store)
  const fitsAt = async (ledger: Ledger, claims: readonly Claim[], now: number, amounts = ONE) => {
    const taking = await take(ledger, claims, now, amounts)
    return taking.taken ? 'taken' : taking.fitsAt
  }

  describe(`a window that rolls, in ${engine}`, () => {
    it('holds a request for its length, and not a millisecond longer', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 1 })
      expect((await taken(ledger, [claim])).standings[0]).toMatchObject({
        remaining: 0,
        resetsAt: NOON + MINUTE,
      })
      expect(await take(ledger, [claim], NOON + MINUTE - 1)).toMatchObject({
        taken: false,
        refusedBy: { remaining: 0, resetsAt: NOON + MINUTE },
        fitsAt: NOON + MINUTE,
      })
      expect(await isTaken(ledger, [claim], NOON + MINUTE)).toBe(true)
    })

    it('lets no burst through at what would be its end', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 10 })
      await taken(ledger, [claim])
      for (let count = 1; count < 10; count++) await taken(ledger, [claim], NOON + MINUTE - 1)
      expect(await left(ledger, claim, NOON + MINUTE - 1)).toBe(0)
      // Of a window that ended here, ten more would pass: nineteen within two milliseconds.
      expect(await isTaken(ledger, [claim], NOON + MINUTE)).toBe(true)
      expect(await isTaken(ledger, [claim], NOON + MINUTE)).toBe(false)
      expect(await left(ledger, claim, NOON + 2 * MINUTE - 2)).toBe(0)
      expect(await left(ledger, claim, NOON + 2 * MINUTE - 1)).toBe(9)
      expect(await left(ledger, claim, NOON + 2 * MINUTE)).toBe(10)
    })

    it('lets a sixtieth of it leave together, when the last charge in it is as old as the window', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 3 })
      await taken(ledger, [claim])
      await taken(ledger, [claim], NOON + SLOT - 1)
      await taken(ledger, [claim], NOON + SLOT)
      expect(await left(ledger, claim, NOON + MINUTE + SLOT - 2)).toBe(0)
      expect(await left(ledger, claim, NOON + MINUTE + SLOT - 1)).toBe(2)
      expect(await left(ledger, claim, NOON + MINUTE + SLOT)).toBe(3)
    })

    it('is empty again when what came last has left, and not moved by what is refused', async () => {
      const ledger = await newLedger()
      const resetsAt = async (now: number) => (await ledger.look([requests()], now))[0]?.resetsAt
      expect(await resetsAt(NOON)).toBeUndefined()
      await taken(ledger, [requests()])
      await taken(ledger, [requests()], NOON + 30_000)
      expect(await isTaken(ledger, [requests()], NOON + 50_000)).toBe(false)
      expect(await resetsAt(NOON + 50_000)).toBe(NOON + 90_000)
      expect(await left(ledger, requests(), NOON + MINUTE)).toBe(1)
      expect(await resetsAt(NOON + 90_000)).toBeUndefined()
    })

    it('says to the millisecond when a request would fit that does not', async () => {
      const ledger = await newLedger()
      const claim = tokens({ limit: 100 })
      for (const [after, amount] of [
        [0, 30],
        [10_000, 30],
        [20_000, 40],
      ] as const)
        await taken(ledger, [claim], NOON + after, some(amount))
      const now = NOON + 30_000
      expect(await fitsAt(ledger, [claim], now, some(20))).toBe(NOON + MINUTE)
      expect(await fitsAt(ledger, [claim], now, some(60))).toBe(NOON + MINUTE + 10_000)
      expect(await fitsAt(ledger, [claim], now, some(61))).toBe(NOON + MINUTE + 20_000)
      expect(await fitsAt(ledger, [claim], now, some(101))).toBe(now + MINUTE)
      expect(await fitsAt(ledger, [claim], NOON + MINUTE + 9999, some(60))).toBe(NOON + MINUTE + 10_000)
      expect(await fitsAt(ledger, [claim], NOON + MINUTE + 10_000, some(60))).toBe('taken')
    })

    it('says when all limits would let it through, and nothing of what waits for others to end', async () => {
      const ledger = await newLedger()
      const [minute, hour] = [requests({ limit: 1 }), requests({ limit: 1, window: { ms: HOUR } })]
      const day = requests({ limit: 1, window: { calendar: 'calendar_day', zone: 'UTC' } })
      await taken(ledger, [minute, hour, day, streams({ limit: 1 })])
      expect(await fitsAt(ledger, [minute], NOON + 1)).toBe(NOON + MINUTE)
      expect(await fitsAt(ledger, [minute, streams({ limit: 1 }), hour], NOON + 1)).toBe(NOON + HOUR)
      expect(await fitsAt(ledger, [minute, day], NOON + 1)).toBe(NOON + 12 * HOUR)
      expect(await fitsAt(ledger, [streams({ limit: 1 })], NOON + 1)).toBeUndefined()
    })

    it('corrects what was charged where it was charged, and nothing once that has left', async () => {
      const ledger = await newLedger()
      const claim = tokens({ limit: 100 })
      const early = await taken(ledger, [claim], NOON, some(60))
      const later = await taken(ledger, [claim], NOON + 30_000, some(20))
      early.settle(some(10))
      await expect.poll(() => left(ledger, claim, NOON + 30_000)).toBe(70)
      expect(await left(ledger, claim, NOON + MINUTE)).toBe(80)
      await taken(ledger, [claim], NOON + 90_000, some(50))
      later.settle(some(0))
      const marker = await taken(ledger, [tokens({ key: 'marker' })], NOON, some(2))
      marker.giveBack()
      await expect.poll(() => left(ledger, tokens({ key: 'marker' }))).toBe(2)
      expect(await left(ledger, claim, NOON + 90_000)).toBe(50)
    })

    it('charges what was used though nothing was reserved', async () => {
      const ledger = await newLedger()
      const claim = tokens({ limit: 100 })
      const one = await taken(ledger, [claim], NOON, NOTHING)
      one.settle(some(70))
      await expect.poll(() => left(ledger, claim)).toBe(30)
    })

    it('keeps its time when a clock is a little behind', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 2 })
      await taken(ledger, [claim], NOON)
      await taken(ledger, [claim], NOON - 20_000)
      expect(await fitsAt(ledger, [claim], NOON - 19_000)).toBe(NOON + MINUTE)
      expect(await isTaken(ledger, [claim], NOON + MINUTE - 1)).toBe(false)
      expect(await isTaken(ledger, [claim], NOON + MINUTE)).toBe(true)
    })

    it('is over no limit when the clock is set back by an hour, and keeps nobody out for it', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 2 })
      await taken(ledger, [claim], NOON - 30_000)
      await taken(ledger, [claim], NOON)
      const again = NOON - HOUR
      expect(await fitsAt(ledger, [claim], again)).toBe(again + MINUTE)
      const three = requests({ limit: 3 })
      expect((await taken(ledger, [three], again)).standings[0]).toMatchObject({
        remaining: 0,
        resetsAt: again + MINUTE,
      })
      expect(await fitsAt(ledger, [three], again + MINUTE - 1)).toBe(again + MINUTE)
      expect(await left(ledger, three, again + MINUTE)).toBe(3)
    })

    it('has forgotten what it held when the clock is set forward by an hour', async () => {
      const ledger = await newLedger()
      const claim = requests({ limit: 1 })
      await taken(ledger, [claim])
      expect(await left(ledger, claim, NOON + HOUR)).toBe(1)
      await taken(ledger, [claim], NOON + HOUR)
      expect(await left(ledger, claim, NOON)).toBe(0)
      expect(await isTaken(ledger, [claim], NOON + MINUTE)).toBe(false)
    })

    it('never lets more through in any span of its length, and refuses what fits a sixtieth too long at most', async () => {
      const step = fc.record({
        after: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 4000 })),
        what: fc.constantFrom('take', 'take', 'take', 'settle', 'giveBack'),
        amount: fc.integer({ min: 1, max: 40 }),
        which: fc.nat(),
      })
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 20, maxLength: 60 }),
          fc.constantFrom(700, 6000, 20_000),
          async (steps, length) => {
            const ledger = await newLedger()
            const claims = [tokens({ limit: 100, window: { ms: length } }), streams({ limit: 1000 })]
            const admitted: { at: number; tokens: number }[] = []
            const running: { reservation: Reservation; entry: { at: number; tokens: number } }[] = []
            const within = (from: number, until: number): number =>
              admitted.reduce((sum, { at, tokens }) => sum + (at > from && at <= until ? tokens : 0), 0)
            let now = NOON
            for (const { after, what, amount, which } of steps) {
              now += after
              if (shared) await (ledger as SharedLedger).renew(now)
              if (what === 'take') {
                const taking = await take(ledger, claims, now, { ...ONE, tokens: amount })
                if (taking.taken) {
                  const entry = { at: now, tokens: amount }
                  admitted.push(entry)
                  running.push({ reservation: taking.reservation, entry })
                  expect(within(now - length, now)).toBeLessThanOrEqual(100)
                } else {
                  expect(within(now - length - length / 60, now) + amount).toBeGreaterThan(100)
                  const fits = taking.fitsAt as number
                  expect(fits - now).toBeLessThanOrEqual(length)
                  if (which % 2) continue
                  // It waits as long as it was told to, but for a millisecond.
                  now = fits - 1
                  expect(await fitsAt(ledger, claims, now, { ...ONE, tokens: amount })).toBe(fits)
                }
                continue
              }
              const [ended] = running.splice(which % Math.max(1, running.length), 1)
              if (!ended) continue
              const { reservation, entry } = ended
              if (what === 'giveBack') reservation.giveBack()
              else reservation.settle({ ...DONE, tokens: Math.min(amount, entry.tokens) })
              if (which % 2) reservation.giveBack()
              entry.tokens = what === 'giveBack' ? 0 : Math.min(amount, entry.tokens)
              await expect
                .poll(() => left(ledger, streams({ limit: 1000 }), now), { interval: 2 })
                .toBe(1000 - running.length)
            }
            if (shared) await (ledger as SharedLedger).renew(now)
            for (const { reservation } of running) reservation.settle(DONE)
            await expect.poll(() => left(ledger, streams({ limit: 1000 }), now), { interval: 2 }).toBe(1000)
            expect(await left(ledger, claims[0] as Claim, now + length)).toBe(100)
          },
        ),
        { numRuns: engine === 'memory' ? 300 : 30 },
      )
    })
  })
}
