/**
 * What a gateway tells of itself.
 */
import type { AuditLog } from '../audit/log.ts'
import type { Activation } from '../policy/activation.ts'
import type { Store } from '../store/store.ts'
import type { Pools } from '../upstreams/pools.ts'

export function readiness(
  stopping: boolean,
  policy: Activation,
  audit: AuditLog,
  pools: Pools,
  store: Pick<Store, 'ok'>,
) {
  const checks = {
    serving: !stopping,
    policy: policy.current() !== undefined,
    store: store.ok(),
    audit: audit.state().ok,
    targets: pools.all().some(pools.standing),
  }
  return { ok: Object.values(checks).every(Boolean), checks }
}

export function poolStatus(pools: Pools, at: number): object {
  return Object.fromEntries(
    pools.all().map(pool => [
      pool.name,
      {
        models: pool.models,
        targets: pool.targets.map(({ state, weight }) => ({
          url: state.url,
          healthy: state.failures === 0 || state.ejectedUntil <= at,
          in_flight: state.inFlight,
          failures: state.failures,
          weight,
        })),
      },
    ]),
  )
}

export function inFlightOf(pools: Pools): { pool: string; target: string; count: number }[] {
  return pools
    .all()
    .flatMap(pool =>
      pool.targets.map(({ state }) => ({ pool: pool.name, target: state.url, count: state.inFlight })),
    )
}
