/** Pools as the config makes them, on a clock that a test moves. */
import type { PoolConfig, TargetConfig } from '../../src/contract/config/pools.ts'
import { createPools, type Pool, type Pools, type Target } from '../../src/upstreams/pools.ts'

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
    timeouts: { connect: '2s', firstByte: '120s', idle: '60s', total: '15m' },
    ...members,
  }
}

export interface TestPools {
  readonly pools: Pools
  readonly clock: { now: number }
  /** What was told: pool, target, whether it is up. */
  readonly told: [string, string, boolean][]
}

export function poolsOf(config: Readonly<Record<string, PoolConfig>>): TestPools {
  const clock = { now: 1_000_000 }
  const told: [string, string, boolean][] = []
  const pools = createPools({ now: () => clock.now, onChange: (...change) => told.push(change) })
  pools.configure(config)
  return { pools, clock, told }
}

export function onePool(
  urls: readonly (string | TargetConfig)[],
  members: Partial<PoolConfig> = {},
): TestPools & { readonly pool: Pool } {
  const made = poolsOf({ chat: poolConfig(urls, members) })
  return { ...made, pool: made.pools.named('chat') as Pool }
}

export const first = (pool: Pool): Target => pool.targets[0] as Target
