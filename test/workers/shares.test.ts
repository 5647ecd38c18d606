import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createPlaces, type Place, type Places } from '../../src/upstreams/places.ts'
import type { Pool } from '../../src/upstreams/pools.ts'
import type {
  PrimaryAnswers,
  PrimaryNotices,
  WorkerAnswers,
  WorkerNotices,
} from '../../src/workers/messages.ts'
import { createShareDealer } from '../../src/workers/share-dealer.ts'
import { createShareHolder } from '../../src/workers/share-holder.ts'
import { createWire } from '../../src/workers/wire.ts'
import { virtualDeadlines } from '../support/deadlines.ts'
import { first, onePool, patientWish, targetConfig } from '../support/pool.ts'
import { chance } from '../support/random.ts'
import { portPair } from '../support/wires.ts'

const URL = 'http://a'

interface TestWorker {
  readonly pool: Pool
  readonly places: Places
  inFlight(): number
  pass(ms: number): void
  die(): void
}

/** So many workers at one target, each with real places, and wires that take their time. */
function team(workers: number, slots: number, { max = 1000 } = {}) {
  const dealer = createShareDealer({ workers, after: () => new Promise(() => {}) })
  dealer.configure(new Map([[URL, slots]]))
  let seed = 0

  function start(number: number): TestWorker {
    const { one, other, cut } = portPair(++seed)
    const down = createWire<
      Pick<WorkerAnswers, 'recall'>,
      Pick<WorkerNotices, 'allowed' | 'keep'>,
      Pick<PrimaryAnswers, 'seek'>,
      Pick<PrimaryNotices, 'gave' | 'rest'>
    >(
      one,
      { seek: urls => dealer.seek(number, urls) },
      {
        gave: ({ url, slots }) => dealer.gave(number, url, slots),
        rest: urls => dealer.rest(number, urls),
      },
    )
    const dealt = dealer.join(number, {
      allowed: (url, slots) => down.tell('allowed', { url, slots }),
      keep: url => down.tell('keep', { url }),
      recall: order => down.ask('recall', order),
    })
    const up = createWire<
      Pick<PrimaryAnswers, 'seek'>,
      Pick<PrimaryNotices, 'gave' | 'rest'>,
      Pick<WorkerAnswers, 'recall'>,
      Pick<WorkerNotices, 'allowed' | 'keep'>
    >(
      other,
      { recall: order => shares.recall(order) },
      {
        allowed({ url, slots }) {
          shares.allowed(url, slots)
          places.look()
        },
        keep: ({ url }) => shares.keep(url),
      },
    )
    const shares = createShareHolder({
      slots: dealt,
      seek: urls => up.ask('seek', urls),
      rest: urls => up.tell('rest', urls),
      gave: (url, slots) => up.tell('gave', { url, slots }),
    })
    const { pools, pool, clock } = onePool([targetConfig(URL, { slots })], { queue: { max, timeout: '1h' } })
    const deadlines = virtualDeadlines(clock)
    const places = createPlaces({ pools, deadlines, now: () => clock.now, shares })
    shares.follow(pools.all())
    return {
      pool,
      places,
      inFlight: () => first(pool).state.inFlight,
      pass: deadlines.pass,
      die() {
        cut()
        down.close('it has ended')
        dealer.leave(number)
      },
    }
  }

  return { dealer, start }
}

const take = (
  worker: TestWorker,
  left = { aborted: false, onAbort: undefined as (() => void) | undefined },
) => worker.places.take(worker.pool, patientWish({ left })) as Promise<Place>

describe('slots that are dealt out', () => {
  it.each([
    [2, 1],
    [2, 3],
    [3, 2],
    [4, 8],
  ])('to %i workers of %i are never exceeded, and nobody waits for ever', async (count, slots) => {
    const seeded = chance(count * 100 + slots)
    const { start } = team(count, slots)
    const workers = Array.from({ length: count }, (_, index) => start(index + 1))
    const together = (): number => workers.reduce((sum, worker) => sum + worker.inFlight(), 0)
    let most = 0
    let served = 0
    let gone = 0

    async function request(worker: TestWorker): Promise<void> {
      const left = { aborted: false, onAbort: undefined as (() => void) | undefined }
      if (seeded.integer(10) === 0) {
        void setImmediate().then(() => {
          left.aborted = true
          left.onAbort?.()
        })
      }
      try {
        const place = await take(worker, left)
        most = Math.max(most, together())
        for (let turns = 3 + seeded.integer(12); turns > 0; turns--) await setImmediate()
        place.leave()
        served++
      } catch {
        gone++
      }
    }

    const all: Promise<void>[] = []
    for (let turn = 0; turn < 400; turn++) {
      // Now one of them has more to do, now another.
      const busy = workers[Math.floor(turn / 50) % count] as TestWorker
      all.push(request(seeded.integer(3) === 0 ? seeded.pick(workers) : busy))
      if (seeded.integer(2) === 0) await setImmediate()
    }
    await Promise.all(all)
    expect(served + gone).toBe(400)
    expect(served).toBeGreaterThan(300)
    expect(most).toBe(slots)
    expect(together()).toBe(0)
  })

  it('come back from a worker that dies, and its replacement begins with what is free', async () => {
    const { start } = team(2, 2)
    const [one, other] = [start(1), start(2)]
    const held = [await take(one), await take(one)]
    expect([one.inFlight(), other.inFlight()]).toEqual([2, 0])
    const waiting = take(other)
    one.die()
    const served = await waiting
    const again = start(1)
    const place = await take(again)
    expect([again.inFlight(), other.inFlight()]).toEqual([1, 1])
    for (const each of [served, place, ...held]) each.leave()
  })

  it('are shared fairly by two who both have more to do than there is', async () => {
    const { start } = team(2, 1)
    const workers = [start(1), start(2)]
    const order: number[] = []
    await Promise.all(
      workers.flatMap((worker, index) =>
        Array.from({ length: 10 }, async () => {
          const place = await take(worker)
          order.push(index)
          await setImmediate()
          place.leave()
        }),
      ),
    )
    // Neither is kept waiting until the other has nothing left to do.
    expect(new Set(order.slice(0, 6)).size).toBe(2)
    expect(order.slice(0, 14).filter(index => index === 0).length).toBeGreaterThan(3)
    expect(order.slice(0, 14).filter(index => index === 1).length).toBeGreaterThan(3)
  })

  it('become fewer as what runs ends, and more at once', async () => {
    const { dealer, start } = team(2, 4)
    const [one, other] = [start(1), start(2)]
    const held = [await take(one), await take(one), await take(other), await take(other)]
    dealer.configure(new Map([[URL, 2]]))
    const waiting = take(one)
    held[0]?.leave()
    held[1]?.leave()
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    expect([one.inFlight(), other.inFlight()]).toEqual([0, 2])
    held[2]?.leave()
    const served = await waiting
    expect(one.inFlight() + other.inFlight()).toBe(2)
    dealer.configure(new Map([[URL, 3]]))
    const more = await take(other)
    expect(one.inFlight() + other.inFlight()).toBe(3)
    for (const place of [served, more, held[3]]) place?.leave()
  })
})
