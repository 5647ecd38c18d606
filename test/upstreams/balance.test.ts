import { describe, expect, it } from 'vitest'
import type { BalanceName } from '../../src/contract/config/pools.ts'
import type { Pool, Pools } from '../../src/upstreams/pools.ts'
import type { Target } from '../../src/upstreams/target.ts'
import { first, onePool, poolConfig, targetConfig } from '../support/pool.ts'

const urls = (count: number): string[] => Array.from({ length: count }, (_, index) => `http://t${index}`)

function made(balance: BalanceName, count: number, weights: readonly number[] = []) {
  const targets = urls(count).map((url, index) => targetConfig(url, { weight: weights[index] ?? 1 }))
  const { pools, pool, clock } = onePool(targets, { balance })
  return { pools, pool, clock, pick: (key?: number) => picked(pools, pool, key) }
}

function picked(pools: Pools, pool: Pool, key: number | undefined): Target {
  const target = pools.pick(pool, { tried: new Set(), model: null, key })
  if (target === undefined || target === 'busy') throw new Error('nobody')
  return target
}

const tally = (targets: readonly Target[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { state } of targets) counts[state.url] = (counts[state.url] ?? 0) + 1
  return counts
}
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

describe('round_robin', () => {
  it('goes through the targets in turn, whatever they have to do', () => {
    const { pool, pick } = made('round_robin', 3)
    first(pool).state.inFlight = 50
    expect(times(6, () => pick().state.url)).toEqual([...urls(3), ...urls(3)])
  })
})

describe('weighted', () => {
  it('gives each its weight, evenly spread', () => {
    const { pick } = made('weighted', 3, [5, 1, 1])
    const seen = times(70, () => pick())
    expect(tally(seen)).toEqual({ 'http://t0': 50, 'http://t1': 10, 'http://t2': 10 })
    expect(seen.slice(0, 7).map(({ state }) => state.url.at(-1))).toEqual(['0', '0', '1', '0', '2', '0', '0'])
  })
})

describe('least_in_flight', () => {
  it('keeps many targets even by comparing two at a time', () => {
    const { pool, pick } = made('least_in_flight', 64)
    for (let request = 0; request < 6400; request++) pick().state.inFlight++
    const loads = pool.targets.map(({ state }) => state.inFlight)
    expect(Math.max(...loads)).toBeLessThanOrEqual(105)
    expect(Math.min(...loads)).toBeGreaterThanOrEqual(90)
  })
})

describe('latency', () => {
  it('prefers who answers sooner, and does not bury him', () => {
    const { pool, pick, clock } = made('latency', 2)
    const [slow, fast] = pool.targets as [Target, Target]
    for (const [{ state }, ms] of [
      [slow, 400],
      [fast, 100],
    ] as const) {
      state.firstByteMs = ms
      state.firstByteAt = clock.now
    }
    for (let request = 0; request < 50; request++) pick().state.inFlight++
    expect(fast.state.inFlight).toBe(40)
  })

  it('tries one that was slow again, once what is known of it is old', () => {
    const { pool, pick, clock } = made('latency', 2)
    const [slow, fast] = pool.targets as [Target, Target]
    Object.assign(slow.state, { firstByteMs: 5000, firstByteAt: clock.now })
    for (const minute of [0, 1, 2]) {
      clock.now = 1_000_000 + minute * 60_000
      Object.assign(fast.state, { firstByteMs: 100, firstByteAt: clock.now })
      expect(pick()).toBe(minute === 0 ? fast : slow)
    }
  })
})

describe('prefix', () => {
  const keys = times(4000, index => Math.imul(index + 1, 0x9e3779b1) >>> 0)

  it('sends what begins alike to the same target, and spreads what does not', () => {
    const { pick } = made('prefix', 5)
    const one = keys.map(key => pick(key))
    expect(keys.map(key => pick(key))).toEqual(one)
    for (const count of Object.values(tally(one))) expect(count).toBeGreaterThan(640)
  })

  it('gives a target with twice the weight twice as many conversations', () => {
    const { pick } = made('prefix', 3, [2, 1, 1])
    const counts = tally(keys.map(key => pick(key)))
    expect(counts['http://t0']).toBeGreaterThan(1850)
    expect(counts['http://t0']).toBeLessThan(2150)
  })

  it('moves only its share when a target leaves or joins', () => {
    const { pools, pool, pick } = made('prefix', 5)
    const before = keys.map(key => pick(key).state.url)
    pools.configure({ chat: poolConfig(urls(6), { balance: 'prefix' }) })
    const after = keys.map(key => picked(pools, pools.named('chat') as Pool, key).state.url)
    const moved = keys.filter((_, index) => before[index] !== after[index])
    expect(moved.length).toBeGreaterThan(4000 / 6 - 120)
    expect(moved.length).toBeLessThan(4000 / 6 + 120)
    expect(after.filter((url, index) => url !== before[index] && url !== 'http://t5')).toEqual([])
    pools.configure({ chat: poolConfig(urls(5), { balance: 'prefix' }) })
    expect(keys.map(key => picked(pools, pools.named('chat') as Pool, key).state.url)).toEqual(before)
    expect(pool.targets).toHaveLength(5)
  })

  it('does not bury a target under one popular beginning', () => {
    const { pool, pick } = made('prefix', 8)
    for (let request = 0; request < 800; request++) pick(7).state.inFlight++
    expect(Math.max(...pool.targets.map(({ state }) => state.inFlight))).toBeLessThanOrEqual(150)
  })

  it('takes a request without a beginning for what it is', () => {
    const { pool, pick } = made('prefix', 3)
    for (let request = 0; request < 30; request++) pick().state.inFlight++
    expect(pool.targets.map(({ state }) => state.inFlight)).toEqual([10, 10, 10])
  })
})

describe('a target that came back', () => {
  it('is given something at once, also where there is little to do', () => {
    for (const balance of ['least_in_flight', 'latency'] as const) {
      const { pool, pick, clock } = made(balance, 2)
      first(pool).state.returnedAt = clock.now
      const count = tally(times(200, () => pick()))['http://t0'] ?? 0
      expect(count, balance).toBeGreaterThan(2)
      expect(count, balance).toBeLessThan(40)
    }
  })

  it.each(['least_in_flight', 'weighted', 'round_robin', 'latency', 'prefix'] as const)(
    'is given little at first and its share after, by %s',
    balance => {
      const { pool, pick, clock } = made(balance, 4)
      const returned = first(pool).state
      returned.returnedAt = clock.now - 1000
      const share = () => {
        for (const { state } of pool.targets) state.inFlight = 0
        for (let request = 0; request < 400; request++)
          pick(Math.imul(request + 1, 0x9e3779b1) >>> 0).state.inFlight++
        return returned.inFlight
      }
      if (balance === 'round_robin' || balance === 'weighted' || balance === 'prefix') {
        const counts = times(400, index => pick(Math.imul(index + 1, 0x9e3779b1) >>> 0))
        expect(tally(counts)[returned.url] ?? 0).toBeLessThan(40)
      } else expect(share()).toBeLessThan(60)
      clock.now += 60_000
      expect(share()).toBeGreaterThan(75)
    },
  )
})
