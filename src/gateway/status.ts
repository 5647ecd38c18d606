/**
 * What a gateway tells of itself.
 */
import type { Access } from '../access/access.ts'
import { requestState } from '../access/document.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Activation } from '../policy/activation.ts'
import type { Pools } from '../upstreams/pools.ts'

export function readiness(stopping: boolean, policy: Activation, audit: AuditLog, pools: Pools) {
  const checks = {
    serving: !stopping,
    policy: policy.current() !== undefined,
    store: true,
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

export function accessStatus({ directory }: Access, at: number): object {
  const pending = directory.all().filter(({ value }) => requestState(value, at) === 'pending')
  return { active: directory.activeCount(at), pending: pending.length }
}

export function inFlightOf(pools: Pools): { pool: string; target: string; count: number }[] {
  return pools
    .all()
    .flatMap(pool =>
      pool.targets.map(({ state }) => ({ pool: pool.name, target: state.url, count: state.inFlight })),
    )
}
