import { afterEach, describe, expect, it } from 'vitest'
import { createHealth } from '../../src/upstreams/health.ts'
import type { ProbeAnswer } from '../../src/upstreams/probe.ts'
import { virtualDeadlines } from '../support/deadlines.ts'
import { first, onePool, poolConfig, targetConfig } from '../support/pool.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const running: { close(): void }[] = []
afterEach(() => {
  for (const health of running.splice(0)) health.close()
})

/** @param answer - What a path is answered with; undefined for no answer. */
function checked(answer: (url: string, path: string) => number | ProbeAnswer | undefined, random = 0.5) {
  const { pools, pool, clock } = onePool(['http://a'])
  const deadlines = virtualDeadlines(clock)
  const asked: [number, string][] = []
  const health = createHealth({
    pools,
    deadlines,
    now: () => clock.now,
    random: () => random,
    onNews: () => {},
    async probe({ url }, path) {
      asked.push([clock.now - 1_000_000, url.host + path])
      const given = answer(url.host, path)
      if (given === undefined) throw new Error('no answer')
      return typeof given === 'number' ? { status: given, text: '' } : given
    },
  })
  running.push(health)
  health.follow()
  const pass = async (ms: number): Promise<void> => {
    await turn()
    for (let passed = 0; passed < ms; passed += 100) {
      deadlines.pass(Math.min(100, ms - passed))
      await turn()
    }
  }
  return { pools, pool, clock, asked, health, pass }
}

describe('health', () => {
  it('is asked for at once, and then at intervals', async () => {
    const { asked, pass } = checked(() => 200)
    await pass(16_000)
    expect(asked.map(([at]) => at)).toEqual([0, 5000, 10_000, 15_000])
  })

  it('is asked for at moments that chance moves a little', async () => {
    for (const [random, second] of [
      [0, 4500],
      [0.999, 5500],
    ] as const) {
      const { asked, pass } = checked(() => 200, random)
      await pass(6000)
      expect(asked[1]?.[0]).toBe(second)
    }
  })

  it('is looked at more closely while it is not settled', async () => {
    let well = true
    const { pools, pool, asked, pass } = checked(() => (well ? 200 : 503))
    await pass(4000)
    well = false
    await pass(2000)
    expect(pools.standing(pool)).toBe(true)
    await pass(1500)
    expect(pools.standing(pool)).toBe(false)
    expect(asked.map(([at]) => at)).toEqual([0, 5000, 6000, 7000])
    well = true
    await pass(2000)
    expect(pools.healthy(first(pool))).toBe(true)
  })

  it('is bad where nobody answers', async () => {
    const { pools, pool, pass } = checked(() => undefined)
    await pass(100)
    expect(pools.standing(pool)).toBe(false)
  })

  it.each([401, 403, 429])('is good where a server answers %i: it is there', async status => {
    const { pools, pool, pass } = checked(() => status)
    await pass(20_000)
    expect(pools.standing(pool)).toBe(true)
  })

  it.each([404, 405, 501])('without an endpoint for it (%i) is that of the list of models', async missing => {
    let models = 200
    const { pools, pool, asked, pass } = checked((_, path) => (path === '/health' ? missing : models))
    await pass(6000)
    expect(asked.map(([, url]) => url)).toEqual(['a/health', 'a/v1/models', 'a/v1/models'])
    models = 500
    await pass(20_000)
    expect(pools.standing(pool)).toBe(false)
  })

  it('is followed through configs: who goes is not asked again, who comes is, who stays keeps what is known', async () => {
    const { pools, asked, health, pass } = checked(url => (url === 'a' ? 503 : 200))
    await pass(100)
    pools.configure({ chat: poolConfig(['http://a', 'http://b']) })
    health.follow()
    await pass(100)
    expect(pools.facts().chat).toMatchObject({ healthy: 1, targets: 2 })
    pools.configure({ chat: poolConfig(['http://b']) })
    health.follow()
    asked.length = 0
    await pass(11_000)
    expect(new Set(asked.map(([, url]) => url))).toEqual(new Set(['b/health']))
    pools.configure({ chat: poolConfig(['http://b'], { health: false }) })
    health.follow()
    asked.length = 0
    await pass(11_000)
    expect(asked).toEqual([])
  })

  it('reads what a server tells, and believes it until it is stale', async () => {
    let tells = true
    const { pools, pool, health, clock, pass } = checked((_, path) =>
      path === '/metrics' && tells
        ? { status: 200, text: 'vllm:num_requests_running 3\nvllm:num_requests_waiting 1\n' }
        : 200,
    )
    pools.configure({ chat: poolConfig([targetConfig('http://a', { kind: 'vllm' })]) })
    const target = first(pools.named('chat') ?? pool)
    target.state.inFlight = 1
    health.follow()
    await pass(6000)
    expect(target.state.reading).toMatchObject({ foreign: 3 })
    tells = false
    await pass(6000)
    expect(target.state.reading?.staleAt).toBeGreaterThan(clock.now)
    await pass(15_000)
    expect(target.state.reading?.staleAt).toBeLessThan(clock.now)
  })
})
