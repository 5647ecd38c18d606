import { describe, expect, it } from 'vitest'
import type { PoolConfig } from '../../src/contract/config/pools.ts'
import { ClientLeft } from '../../src/upstreams/client-left.ts'
import { createPlaces, type PatientWish, type Place } from '../../src/upstreams/places.ts'
import type { Pool } from '../../src/upstreams/pools.ts'
import { virtualDeadlines } from '../support/deadlines.ts'
import { first, onePool, poolConfig, targetConfig, patientWish as wish } from '../support/pool.ts'

function placesFor(slots: number, members: Partial<PoolConfig> = {}) {
  const { pools, pool, clock } = onePool([targetConfig('http://a', { slots })], members)
  const deadlines = virtualDeadlines(clock)
  return { pools, pool, clock, deadlines, places: createPlaces({ pools, deadlines, now: () => clock.now }) }
}

describe('a place', () => {
  it('is counted while it is held, and given back once', async () => {
    const { pool, places } = placesFor(2)
    const place = (await places.take(pool, wish())) as Place
    expect(first(pool).state.inFlight).toBe(1)
    place.leave()
    place.leave()
    expect(first(pool).state.inFlight).toBe(0)
  })

  it('that comes free goes to who waits, and not to who comes later', async () => {
    const { pool, places } = placesFor(1)
    const held = (await places.take(pool, wish())) as Place
    const waiting = places.take(pool, wish())
    expect(places.queued('chat')).toBe(1)
    held.leave()
    expect(places.takeNow(pool, wish())).toBeUndefined()
    expect(((await waiting) as Place).target).toBe(first(pool))
    expect([places.queued('chat'), first(pool).state.inFlight]).toEqual([0, 1])
  })

  it('is waited for no longer than the queue allows, or the request itself', async () => {
    const { pool, places, deadlines, clock } = placesFor(1, { queue: { max: 9, timeout: '10s' } })
    await places.take(pool, wish())
    const usual = places.take(pool, wish())
    const hasty = places.take(pool, wish({ totalBy: clock.now + 2000 }))
    deadlines.pass(2100)
    await expect(hasty).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 })
    expect(places.queued('chat')).toBe(1)
    deadlines.pass(8000)
    await expect(usual).rejects.toMatchObject({ code: 'overloaded' })
    expect(places.queued('chat')).toBe(0)
  })

  it('is refused at once to who could not have it in time, once it is known how long that takes', async () => {
    const { pool, places, deadlines } = placesFor(1, { queue: { max: 99, timeout: '10s' } })
    let held = (await places.take(pool, wish())) as Place
    let waiting = places.take(pool, wish())
    for (let served = 0; served < 12; served++) {
      const next = places.take(pool, wish())
      deadlines.pass(4900)
      held.leave()
      held = (await waiting) as Place
      waiting = next
    }
    const more = [places.take(pool, wish()), places.take(pool, wish()), places.take(pool, wish())]
    await expect(places.take(pool, wish())).rejects.toMatchObject({
      code: 'overloaded',
      retryAfterSeconds: 25,
    })
    // Somebody of a higher priority would be served sooner, and waits.
    const urgent = places.take(pool, wish({ priority: 1, principal: 'bob' }))
    expect(places.queued('chat')).toBe(5)
    deadlines.pass(10_100)
    for (const late of [waiting, ...more, urgent])
      await expect(late).rejects.toMatchObject({ code: 'overloaded' })
  })

  it('is not kept for a client that has left', async () => {
    const { pool, places } = placesFor(1)
    const held = (await places.take(pool, wish())) as Place
    const left: PatientWish['left'] = { aborted: false, onAbort: undefined }
    const gone = places.take(pool, wish({ left }))
    left.onAbort?.()
    await expect(gone).rejects.toBeInstanceOf(ClientLeft)
    expect([places.queued('chat'), left.onAbort]).toEqual([0, undefined])
    held.leave()
    expect(first(pool).state.inFlight).toBe(0)
  })

  it('is found again when a target comes back, though nobody tells', async () => {
    const { pools, pool, places, deadlines, clock } = placesFor(1)
    const held = (await places.take(pool, wish())) as Place
    const waiting = places.take(pool, wish())
    first(pool).state.inFlight = 0
    deadlines.pass(200)
    expect(await waiting).toBeDefined()
    expect(pools.facts().chat?.in_flight).toBe(1)
    held.leave()
    expect(clock.now).toBeGreaterThan(1_000_000)
  })

  it('is found at once in a config with more slots, by who waited under the one before', async () => {
    const { pools, pool, places } = placesFor(1)
    await places.take(pool, wish())
    const waiting = places.take(pool, wish())
    pools.configure({ chat: poolConfig([targetConfig('http://a', { slots: 2 })]) })
    places.look()
    expect(((await waiting) as Place).pool).toBe(pools.named('chat') as Pool)
  })

  it('is none where every target was tried, or its breaker is open', async () => {
    const { pools, pool, places } = placesFor(1)
    expect(await places.take(pool, wish({ tried: new Set([first(pool).state]) }))).toBeUndefined()
    for (let failure = 0; failure < 5; failure++) pools.failed(first(pool), pool, 'failed')
    expect(await places.take(pool, wish())).toBeUndefined()
  })

  it('on trial is the only one, and whoever holds it may leave without an answer', async () => {
    const { pools, pool, places, clock } = placesFor(9)
    for (let failure = 0; failure < 5; failure++) pools.failed(first(pool), pool, 'failed')
    clock.now += 10_000
    const trial = (await places.take(pool, wish())) as Place
    expect(places.takeNow(pool, wish())).toBeUndefined()
    trial.leave()
    expect(places.takeNow(pool, wish())).toBeDefined()
  })
})

describe('a place where a conversation was before', () => {
  const homes = () => {
    const { pools, pool, clock } = onePool(
      ['http://a', 'http://b'].map(url => targetConfig(url, { slots: 1 })),
      { balance: 'prefix' },
    )
    const places = createPlaces({ pools, deadlines: virtualDeadlines(clock), now: () => clock.now })
    const keyAt = (index: number): number => {
      for (let key = 1; ; key++)
        if (pool.balance.home?.(pool.targets, key) === pool.targets[index]) return key
    }
    return { pool, places, keyAt }
  }

  it('goes to it before those who stand before it, whose cache is elsewhere', async () => {
    const { pool, places, keyAt } = homes()
    const atA = (await places.take(pool, wish({ key: keyAt(0) }))) as Place
    const atB = (await places.take(pool, wish({ key: keyAt(1) }))) as Place
    const [first, second] = [
      places.take(pool, wish({ key: keyAt(0) })),
      places.take(pool, wish({ key: keyAt(1) })),
    ]
    atB.leave()
    expect(((await second) as Place).target).toBe(pool.targets[1])
    atA.leave()
    expect(((await first) as Place).target).toBe(pool.targets[0])
  })

  it('does not keep anybody waiting for ever', async () => {
    const { pool, places, keyAt } = homes()
    await places.take(pool, wish({ key: keyAt(0) }))
    let held = (await places.take(pool, wish({ key: keyAt(1) }))) as Place
    const patient = places.take(pool, wish({ key: keyAt(0) }))
    let served = false
    void patient.then(() => {
      served = true
    })
    for (let passed = 0; passed < 20 && !served; passed++) {
      const other = places.take(pool, wish({ key: keyAt(1) }))
      held.leave()
      held = (await Promise.race([other, patient])) as Place
    }
    expect(served).toBe(true)
  })
})
