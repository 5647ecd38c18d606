/**
 * The servers behind a gateway: what is known of them, who waits for them, and how they are reached.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Carrier } from '../upstreams/call.ts'
import { createCarriers } from '../upstreams/carriers.ts'
import { createDeadlines, type Deadlines } from '../upstreams/deadlines.ts'
import { createDispatcher } from '../upstreams/dispatcher.ts'
import { createHealth } from '../upstreams/health.ts'
import { createPlaces, type Places, type Shares } from '../upstreams/places.ts'
import { createPools, type Pools } from '../upstreams/pools.ts'
import { createProbe } from '../upstreams/probe.ts'
import { createProxy } from '../upstreams/proxy.ts'
import { readTargetTls } from '../upstreams/target-tls.ts'

export interface Upstreams {
  readonly pools: Pools
  readonly places: Places
  readonly carrier: Carrier
  readonly deadlines: Deadlines
  /** What stays keeps what is known of it. @throws when a TLS file is no good; then nothing changes. */
  configure(pools: GatewayConfig['pools']): void
  close(): void
}

export interface UpstreamsNeeds {
  /** Milliseconds on a clock that does not go back. */
  steady(): number
  random(): number
  /** Where slots are dealt out among several. */
  readonly shares?: Shares
  /** How many wait for a pool in other workers. */
  queuedElsewhere?(pool: string): number
}

export function openUpstreams({ steady, random, shares, queuedElsewhere }: UpstreamsNeeds): Upstreams {
  const pools = createPools({
    now: steady,
    random,
    queued: name => places.queued(name) + (queuedElsewhere?.(name) ?? 0),
    readTls: readTargetTls,
  })
  const deadlines = createDeadlines(steady, { countStandstill: false })
  const places = createPlaces({ pools, deadlines, now: steady, ...(shares && { shares }) })
  const probe = createProbe({ deadlines, now: steady })
  const health = createHealth({ pools, deadlines, probe, now: steady, random, onNews: places.look })
  const carrier = createCarriers(createDispatcher(steady), createProxy(steady))
  return {
    pools,
    places,
    carrier,
    deadlines,
    configure(next) {
      pools.configure(next)
      carrier.keep(pools.all().flatMap(pool => pool.targets))
      shares?.follow(pools.all())
      health.follow()
      places.look()
    },
    close() {
      health.close()
      carrier.close()
    },
  }
}
