import { describe, expect, it } from 'vitest'
import type { Pool } from '../../src/upstreams/pools.ts'
import { first, onePool, poolConfig, poolsOf, targetConfig } from '../support/pool.ts'

const [A, B, C] = ['http://a:1', 'http://b:2', 'http://c:3'] as const

describe('pools', () => {
  it('are found by name, and by model in the order of the config', () => {
    const { pools } = poolsOf({
      small: poolConfig([A], { models: ['tiny', 'mini'] }),
      large: poolConfig([B], { models: ['big', 'tiny'] }),
    })
    expect(pools.named('large')?.name).toBe('large')
    expect(pools.named('constructor')).toBeUndefined()
    expect(pools.serving('tiny')?.name).toBe('small')
    expect(pools.serving('big')?.name).toBe('large')
    expect(pools.serving('huge')).toBeUndefined()
    expect(pools.models()).toEqual(['tiny', 'mini', 'big'])
  })

  it('are built once: durations read, header names lowered, credentials made', () => {
    const { pool } = onePool(
      [targetConfig('http://a:1/base/', { apiKey: 'k', headers: { 'X-Team': 'a' } })],
      { forwardHeaders: ['X-Trace'] },
    )
    expect(pool.timeouts).toEqual({ connect: 2000, firstByte: 120_000, idle: 60_000, total: 900_000 })
    expect(pool.forwardHeaders).toEqual(new Set(['x-trace']))
    expect(first(pool).headers).toEqual({ authorization: 'Bearer k', 'x-team': 'a' })
    expect(first(pool).state.url).toBe('http://a:1/base')
  })

  it('let the headers of a target stand in for its credential', () => {
    const { pool } = onePool([targetConfig(A, { apiKey: 'k', headers: { Authorization: 'Basic x' } })])
    expect(first(pool).headers).toEqual({ authorization: 'Basic x' })
  })
})

describe('a new config', () => {
  it('leaves to the targets that stay what they are doing', () => {
    const { pools, pool, lost } = onePool([A, B])
    first(pool).state.inFlight = 3
    lost(first(pool))
    pools.configure({ renamed: poolConfig([C, `${A}/`]) })
    const target = pools.named('renamed')?.targets[1]
    expect(target?.state).toBe(first(pool).state)
    expect(target?.state).toMatchObject({ inFlight: 3, failures: 1 })
    expect(pools.named('chat')).toBeUndefined()
  })

  it('takes effect on weights and credentials of a target that stays', () => {
    const { pools, pool } = onePool([A])
    pools.configure({ chat: poolConfig([targetConfig(A, { weight: 5, apiKey: 'new' })]) })
    const target = first(pools.named('chat') as Pool)
    expect(target).toMatchObject({ weight: 5, headers: { authorization: 'Bearer new' } })
    expect(target.state).toBe(first(pool).state)
  })

  it('remembers a target that was taken away while it still works, until it comes back', () => {
    const { pools, pool } = onePool([A])
    first(pool).state.inFlight = 1
    pools.configure({ chat: poolConfig([B]) })
    pools.configure({ chat: poolConfig([A, B]) })
    expect(first(pools.named('chat') as Pool).state.inFlight).toBe(1)
  })

  it('forgets a target that was taken away and is idle', () => {
    const { pools, pool, lost } = onePool([A])
    lost(first(pool))
    pools.configure({ chat: poolConfig([B]) })
    pools.configure({ chat: poolConfig([A]) })
    expect(first(pools.named('chat') as Pool).state.failures).toBe(0)
  })

  it('does not change the pool that a running request holds', () => {
    const { pools, pool } = onePool([A])
    pools.configure({ chat: poolConfig([B]) })
    expect(pool.targets.map(target => target.state.url)).toEqual([A])
  })
})

describe('pick', () => {
  it('takes the target with least in flight', () => {
    const { pool, next } = onePool([A, B, C])
    for (const [index, inFlight] of [2, 0, 1].entries())
      (pool.targets[index] as Pool['targets'][number]).state.inFlight = inFlight
    expect(next(pool)?.state.url).toBe(B)
  })

  it('gives a target with twice the weight twice as much', () => {
    const { pool, next } = onePool([targetConfig(A), targetConfig(B, { weight: 2 })])
    for (let count = 0; count < 30; count++) {
      const target = next(pool)
      if (target) target.state.inFlight++
    }
    expect(pool.targets.map(target => target.state.inFlight)).toEqual([10, 20])
  })

  it('counts a target that serves two pools once', () => {
    const { pools, next } = poolsOf({ x: poolConfig([A, B]), y: poolConfig([A, C]) })
    first(pools.named('x') as Pool).state.inFlight = 1
    expect(next(pools.named('y') as Pool)?.state.url).toBe(C)
  })

  it('never takes one that was tried, and none when all were', () => {
    const { pool, next } = onePool([A, B])
    expect(next(pool, first(pool))?.state.url).toBe(B)
    expect(next(pool, ...pool.targets)).toBeUndefined()
  })

  it('passes over a target that took no connection', () => {
    const { pool, next, lost } = onePool([A, B])
    lost(first(pool))
    ;(pool.targets[1] as Pool['targets'][number]).state.inFlight = 100
    expect(next(pool)?.state.url).toBe(B)
  })

  it('asks one all the same when every target is passed over', () => {
    const { pools, pool, next, lost } = onePool([A, B])
    for (const target of pool.targets) lost(target)
    expect(pools.standing(pool)).toBe(false)
    expect(next(pool)).toBeDefined()
  })
})

describe('a target that takes no connection', () => {
  it('is passed over for a second, then two, four, up to thirty', () => {
    const { pool, clock, lost } = onePool([A])
    const spells = Array.from({ length: 8 }, () => {
      lost(first(pool))
      return first(pool).state.ejectedUntil - clock.now
    })
    expect(spells).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  it('may be asked again when its time is over, not before', () => {
    const { pools, pool, clock, lost } = onePool([A])
    lost(first(pool))
    clock.now += 999
    expect(pools.standing(pool)).toBe(false)
    clock.now += 1
    expect(pools.standing(pool)).toBe(true)
  })

  it('begins anew once it answered', () => {
    const { pools, pool, clock, lost } = onePool([A])
    for (let count = 0; count < 5; count++) lost(first(pool))
    pools.answered(first(pool))
    expect(pools.standing(pool)).toBe(true)
    lost(first(pool))
    expect(first(pool).state.ejectedUntil - clock.now).toBe(1000)
  })
})

describe('facts', () => {
  it('are what a policy sees', () => {
    const { pools, pool, clock, lost } = onePool([A, B, C])
    first(pool).state.inFlight = 2
    lost(first(pool))
    expect(pools.facts()).toEqual({
      chat: { models: ['tiny'], healthy: 2, targets: 3, in_flight: 2, queued: 0 },
    })
    clock.now += 1000
    expect(pools.facts().chat?.healthy).toBe(3)
  })
})
