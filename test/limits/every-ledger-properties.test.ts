import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLedger, type Ledger } from '../../src/limits/ledger.ts'
import type { SharedLedger } from '../../src/limits/shared-ledger.ts'
import { DONE, ONE } from '../support/amounts.ts'
import { ledgerIn, left, NOON, requests, streams, tokens } from '../support/ledgers.ts'
import { everyStore } from '../support/stores.ts'

/** What holds of every ledger, whatever happens, in whatever order. */
for (const [engine, { open, shared }] of Object.entries(everyStore())) {
  const newLedger = async (): Promise<Ledger> => ledgerIn((await open(() => NOON)).store)

  describe(`the ledger in ${engine}`, () => {
    it('never admits more than a limit, and holds nothing when all is quiet', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              tokens: fc.integer({ min: 0, max: 30 }),
              used: fc.integer({ min: 0, max: 30 }),
              fate: fc.constantFrom('settle', 'giveBack', 'both'),
            }),
            {
              minLength: 5,
              maxLength: 40,
            },
          ),
          fc.integer({ min: 1, max: 6 }),
          async (visits, limit) => {
            const ledger = await newLedger()
            const claims = [tokens({ limit: 200 }), streams({ limit }), requests({ limit: 30 })]
            let running = 0
            let most = 0
            let reserved = 0
            let charged = 0
            let admitted = 0
            await Promise.all(
              visits.map(async ({ tokens, used, fate }) => {
                const amounts = { ...ONE, tokens }
                const taking = await ledger.take(claims, amounts, NOON)
                if (!taking.taken) return
                admitted++
                most = Math.max(most, ++running)
                reserved += tokens
                expect(charged + reserved).toBeLessThanOrEqual(200)
                await new Promise(setImmediate)
                const spent = Math.min(used, tokens)
                running--
                reserved -= tokens
                if (fate === 'giveBack') {
                  admitted--
                  taking.reservation.giveBack()
                } else {
                  charged += spent
                  taking.reservation.settle({ ...DONE, tokens: spent })
                }
                if (fate === 'both') taking.reservation.giveBack()
              }),
            )
            expect(most).toBeLessThanOrEqual(limit)
            await expect.poll(() => left(ledger, streams({ limit })), { interval: 2 }).toBe(limit)
            expect(await left(ledger, tokens({ limit: 1000 }))).toBe(1000 - charged)
            expect(await left(ledger, requests({ limit: 100 }))).toBe(100 - admitted)
          },
        ),
        { numRuns: 25 },
      )
    })

    it('says what a ledger in memory says, whatever is asked of it', async () => {
      const claim = fc.record({
        kind: fc.constantFrom('requests', 'tokens', 'concurrency', 'cost'),
        key: fc.constantFrom('a', 'b'),
        limit: fc.integer({ min: 0, max: 6 }),
        observe: fc.boolean(),
      })
      const step = fc.record({
        claims: fc.array(claim, { maxLength: 4 }),
        amount: fc.integer({ min: 1, max: 3 }),
        after: fc.constantFrom(0, 10_000, 45_000),
        end: fc.constantFrom('hold', 'settle', 'giveBack'),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
          const [ledger, model] = [await newLedger(), createLedger()]
          let now = NOON
          for (const { claims: drawn, amount, after, end } of steps) {
            now += after
            if (shared) await (ledger as SharedLedger).renew(now)
            const claims = drawn.map(({ kind, ...rest }) =>
              kind === 'concurrency'
                ? streams(rest)
                : requests({ ...rest, name: kind, unit: kind as 'tokens' }),
            )
            const amounts = { ...ONE, tokens: amount, cost: amount }
            const [said, wanted] = [await ledger.take(claims, amounts, now), model.take(claims, amounts, now)]
            expect(said.taken).toBe(wanted.taken)
            const remaining = (standings: readonly { remaining: number }[]) =>
              standings.map(one => one.remaining)
            if (said.taken && wanted.taken) {
              expect(said.reservation.standings).toEqual(wanted.reservation.standings)
              if (end === 'settle') for (const one of [said, wanted]) one.reservation.settle(DONE)
              if (end === 'giveBack') for (const one of [said, wanted]) one.reservation.giveBack()
            } else if (!said.taken && !wanted.taken)
              expect(remaining(said.standings)).toEqual(remaining(wanted.standings))
            await expect
              .poll(async () => remaining(await ledger.look(claims, now)), { interval: 2 })
              .toEqual(remaining(model.look(claims, now)))
          }
        }),
        { numRuns: 40 },
      )
    })
  })
}
