import { describe, expect, it } from 'vitest'
import {
  countAnswer,
  countCheck,
  countFailure,
  isOpen,
  isStanding,
  letRest,
  shareOf,
} from '../../src/upstreams/condition.ts'
import type { Pool } from '../../src/upstreams/pools.ts'
import { newState } from '../../src/upstreams/target.ts'
import { first, onePool, targetConfig } from '../support/pool.ts'

const BREAKER = { failures: 5, openForMs: 10_000 }
const THRESHOLDS = { healthyAfter: 2, unhealthyAfter: 3 }
const T = 1_000_000

describe('failures', () => {
  it('of answers eject after three in a row, and not one sooner', () => {
    const state = newState('http://a')
    for (const standing of [true, true, false]) {
      countFailure(state, 'failed', BREAKER, true, T)
      expect(isStanding(state, T)).toBe(standing)
    }
    expect(isStanding(state, T + 1000)).toBe(true)
  })

  it('of answers in between good ones eject never', () => {
    const state = newState('http://a')
    for (let round = 0; round < 50; round++) {
      countFailure(state, 'failed', BREAKER, true, T)
      countFailure(state, 'failed', BREAKER, true, T)
      countAnswer(state, T)
    }
    expect(isStanding(state, T)).toBe(true)
  })

  it('of answers leave at least half of a pool standing', () => {
    const { pools, pool } = onePool(['http://a', 'http://b', 'http://c', 'http://d'])
    for (let failure = 0; failure < 4; failure++)
      for (const target of pool.targets) pools.failed(target, pool, 'failed')
    expect(pool.targets.filter(pools.healthy)).toHaveLength(2)
  })

  it('of connections are remembered until it is reached again, also once it may be tried', () => {
    const { pools, pool, clock, next } = onePool(['http://a', 'http://b'])
    pools.failed(first(pool), pool, 'unreachable')
    clock.now += 60_000
    expect([pools.healthy(first(pool)), pools.facts().chat?.healthy]).toEqual([false, 2])
    expect(next(pool, pool.targets[1] ?? first(pool))).toBe(first(pool))
    pools.answered(first(pool))
    expect(pools.healthy(first(pool))).toBe(true)
  })

  it('never eject the only target for its answers', () => {
    const { pools, pool } = onePool(['http://a'])
    for (let failure = 0; failure < 4; failure++) pools.failed(first(pool), pool, 'failed')
    expect(pools.standing(pool)).toBe(true)
  })
})

describe('the breaker', () => {
  it('opens after so many failures in a row, lets one through after its time, and opens again if that fails', () => {
    const { pools, pool, clock, next } = onePool(['http://a'])
    const { state } = first(pool)
    for (let failure = 0; failure < 5; failure++) {
      expect(next(pool)).toBeDefined()
      pools.failed(first(pool), pool, 'failed')
    }
    expect(next(pool)).toBeUndefined()
    clock.now += 10_000
    expect(next(pool)).toBeDefined()
    state.onTrial = true
    expect(next(pool)).toBeUndefined()
    pools.failed(first(pool), pool, 'failed')
    expect([isOpen(state, clock.now), isOpen(state, clock.now + 10_000)]).toEqual([true, false])
    clock.now += 10_000
    pools.answered(first(pool))
    expect([isOpen(state, clock.now), next(pool)]).toEqual([false, first(pool)])
  })

  it('is obeyed where ejections are overruled because nobody else is there', () => {
    const { pools, pool, next } = onePool(['http://a', 'http://b'])
    const [a, b] = pool.targets
    if (!a || !b) throw new Error('two')
    for (let failure = 0; failure < 5; failure++) pools.failed(a, pool, 'unreachable')
    pools.failed(b, pool, 'unreachable')
    for (let request = 0; request < 10; request++) expect(next(pool)).toBe(b)
  })
})

describe('checks', () => {
  it('decide by the first one, and then by so many in a row', () => {
    const state = newState('http://a')
    expect(isStanding(state, T)).toBe(true)
    const standingAfter = (...results: boolean[]): boolean[] =>
      results.map(passed => {
        countCheck(state, passed, THRESHOLDS, T)
        return isStanding(state, T)
      })
    expect(standingAfter(false)).toEqual([false])
    expect(standingAfter(true, false, true, true)).toEqual([false, false, false, true])
    expect(standingAfter(false, false, true, false, false, false)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
    ])
  })

  it('that reach a target which could not be reached end its ejection and close its breaker', () => {
    const state = newState('http://a')
    for (let failure = 0; failure < 5; failure++) countFailure(state, 'unreachable', BREAKER, true, T)
    countCheck(state, true, THRESHOLDS, T)
    expect(isStanding(state, T)).toBe(true)
    expect(shareOf(state, T)).toBeLessThan(0.2)
    for (let failure = 0; failure < 5; failure++) countFailure(state, 'failed', BREAKER, true, T)
    countCheck(state, true, THRESHOLDS, T)
    expect(isStanding(state, T)).toBe(false)
  })
})

describe('a rest that a target asked for', () => {
  it('is kept, is no failure, and is no longer than a minute', () => {
    const state = newState('http://a')
    letRest(state, 5000, T)
    expect([isStanding(state, T + 4999), isStanding(state, T + 5000)]).toEqual([false, true])
    letRest(state, 86_400_000, T)
    expect([state.failures, isStanding(state, T + 60_000)]).toEqual([0, true])
  })
})

describe('slots', () => {
  it('that are taken make a pool busy, not gone', () => {
    const { pools, pool } = onePool([targetConfig('http://a', { slots: 2 })])
    const wish = { tried: new Set<Pool['targets'][number]['state']>(), model: null, key: undefined }
    first(pool).state.inFlight = 2
    expect(pools.pick(pool, wish)).toBe('busy')
    wish.tried.add(first(pool).state)
    expect(pools.pick(pool, wish)).toBeUndefined()
  })
})
