import { describe, expect, it } from 'vitest'
import { NOTHING } from '../../src/limits/ledger.ts'
import type { SharedLedger } from '../../src/limits/shared-ledger.ts'
import { createShares } from '../../src/limits/shares.ts'
import { newId } from '../../src/server/ids.ts'
import { DONE, ONE } from '../support/amounts.ts'
import { ledgerIn, left, MINUTE, NOON, requests, streams, tokens } from '../support/ledgers.ts'
import { everyStore } from '../support/stores.ts'

const makers = everyStore()

/** What a gateway lets through by itself while its store is away, in what counts for all once it is back. */
describe('shares', () => {
  const open = async (gateways: number) => {
    const { store } = await (makers.sqlite as NonNullable<(typeof makers)[string]>).open(() => NOON)
    const shared = ledgerIn(store) as SharedLedger
    return {
      shared,
      shares: createShares({ shared, newId: () => newId(NOON), gateways: () => gateways }),
    }
  }

  it('roll: in no span of its length is more let through than the share', async () => {
    const { shares } = await open(2)
    const claim = requests({ limit: 10 })
    const admitted: number[] = []
    for (let now = NOON; now < NOON + 5 * MINUTE; now += 1700)
      if (shares.take([claim], ONE, now).taken) admitted.push(now)
    for (const until of admitted)
      expect(admitted.filter(at => at > until - MINUTE && at <= until).length).toBeLessThanOrEqual(5)
    expect(admitted.length).toBeGreaterThanOrEqual(5 * 4)
  })

  it('are charged where all count once the store is back, and what has left its window is not', async () => {
    const { shares, shared } = await open(1)
    const claims = [requests({ limit: 10 }), tokens({ limit: 1000 }), streams({ limit: 5 })]
    for (let minute = 0; minute < 10; minute++)
      for (let turn = 0; turn < 4; turn++) {
        const taking = shares.take(claims, { ...ONE, tokens: 50 }, NOON + minute * MINUTE + turn)
        if (!taking.taken) throw new Error('refused')
        taking.reservation.settle({ ...DONE, tokens: 20 })
      }
    const runs = shares.take(claims, { ...ONE, tokens: 50 }, NOON + 9 * MINUTE + 10)
    const back = NOON + 9 * MINUTE + 100
    expect(shares.owing()).toBe(true)
    await shares.charge(back)
    expect(shares.owing()).toBe(false)
    const standing = async () => Promise.all(claims.map(claim => left(shared, claim, back)))
    expect(await standing()).toEqual([10 - 5, 1000 - 4 * 20 - 50, 4])
    if (runs.taken) runs.reservation.settle({ ...DONE, tokens: 10 })
    expect(await standing()).toEqual([10 - 5, 1000 - 4 * 20 - 10, 5])
  })

  it('are of what was left when the store last said so', async () => {
    const { shares } = await open(2)
    const claim = tokens({ limit: 100 })
    const some = (tokens: number) => ({ ...NOTHING, tokens })
    const bill = {
      name: 'tokens\ntokens\n60000\nana',
      amount: 0,
      limit: 100,
      endsAt: NOON,
      rollingMs: MINUTE,
    }
    shares.noticed({ id: 'x', bills: [bill], force: false }, [{ used: 60, endsAt: NOON + MINUTE }])
    expect(shares.take([claim], some(21), NOON).taken).toBe(false)
    expect(shares.take([claim], some(20), NOON).taken).toBe(true)
    expect(shares.take([claim], some(1), NOON + MINUTE - 1).taken).toBe(false)
    expect(shares.take([claim], some(50), NOON + MINUTE).taken).toBe(true)
  })
})
