/** Pools as the config makes them, on a clock that a test moves. */
import type { PoolConfig, TargetConfig } from '../../src/contract/config/pools.ts'
import type { PatientWish } from '../../src/upstreams/places.ts'
import { createPools, type Pool, type Pools } from '../../src/upstreams/pools.ts'
import type { Target } from '../../src/upstreams/target.ts'
import { chance } from './random.ts'

export function targetConfig(url: string, members: Partial<TargetConfig> = {}): TargetConfig {
  return { url, kind: 'openai', weight: 1, headers: {}, ...members }
}

export function poolConfig(
  urls: readonly (string | TargetConfig)[],
  members: Partial<PoolConfig> = {},
): PoolConfig {
  return {
    models: ['tiny'],
    targets: urls.map(target => (typeof target === 'string' ? targetConfig(target) : target)),
    balance: 'least_in_flight',
    forwardHeaders: [],
    upstreamErrors: 'replace',
    prefix: { characters: 4096 },
    health: { path: '/health', interval: '5s', timeout: '2s', healthyAfter: 2, unhealthyAfter: 3 },
    retry: { attempts: 2, budget: 0.2 },
    breaker: { failures: 5, openFor: '10s' },
    queue: { max: 100, timeout: '30s' },
    answer: {},
    timeouts: { connect: '2s', firstByte: '120s', idle: '60s', total: '15m' },
    ...members,
  }
}

export interface TestPools {
  readonly pools: Pools
  readonly clock: { now: number }
  /** The next target for a request that has no wishes. */
  next(pool: Pool, ...tried: Target[]): Target | undefined
  /** The target took no connection. */
  lost(target: Target): void
}

export function poolsOf(config: Readonly<Record<string, PoolConfig>>): TestPools {
  const clock = { now: 1_000_000 }
  const seeded = chance(1)
  const pools = createPools({
    now: () => clock.now,
    random: () => seeded.integer(2 ** 30) / 2 ** 30,
    queued: () => 0,
    readTls: () => ({ ca: undefined, cert: undefined, key: undefined, serverName: undefined }),
  })
  pools.configure(config)
  return {
    pools,
    clock,
    next(pool, ...tried) {
      const picked = pools.pick(pool, {
        tried: new Set(tried.map(target => target.state)),
        model: 'tiny',
        key: undefined,
      })
      return picked === 'busy' ? undefined : picked
    },
    lost(target) {
      const pool = pools.all().find(({ targets }) => targets.some(({ state }) => state === target.state))
      pools.failed(target, pool as Pool, 'unreachable')
    },
  }
}

export function onePool(
  urls: readonly (string | TargetConfig)[],
  members: Partial<PoolConfig> = {},
): TestPools & { readonly pool: Pool } {
  const made = poolsOf({ chat: poolConfig(urls, members) })
  return { ...made, pool: made.pools.named('chat') as Pool }
}

export const first = (pool: Pool): Target => pool.targets[0] as Target

/** Of a request that may wait for as long as it likes. */
export function patientWish(members: Partial<PatientWish> = {}): PatientWish {
  return {
    tried: new Set(),
    model: null,
    key: undefined,
    principal: 'ana',
    priority: 0,
    totalBy: Number.POSITIVE_INFINITY,
    left: { aborted: false, onAbort: undefined },
    ...members,
  }
}
