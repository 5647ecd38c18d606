/**
 * What a gateway tells of itself.
 */
import type { Access } from '../access/access.ts'
import { requestState } from '../access/document.ts'
import type { AuditLog } from '../audit/log.ts'
import type { PoolStatus, Status, TargetStatus } from '../contract/seen.ts'
import type { Activation } from '../policy/activate/activation.ts'
import type { Store } from '../store/store.ts'
import type { TargetGauges } from '../telemetry/metrics.ts'
import { isOpen } from '../upstreams/condition.ts'
import type { Places } from '../upstreams/places.ts'
import type { Pools } from '../upstreams/pools.ts'
import { freshReading, slotsOf, type Target } from '../upstreams/target.ts'

export function readiness(
  stopping: boolean,
  policy: Pick<Activation, 'current'>,
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

/** @param at - On the clock of the targets' states. */
export function poolStatus(
  pools: Pools,
  places: Pick<Places, 'queued'>,
  at: number,
): Readonly<Record<string, PoolStatus>> {
  return Object.fromEntries(
    pools.all().map(pool => [
      pool.name,
      {
        models: pool.models,
        queued: places.queued(pool.name),
        targets: pool.targets.map(target => targetStatus(target, pools.healthy(target), at)),
      },
    ]),
  )
}

function targetStatus(target: Target, healthy: boolean, at: number): TargetStatus {
  const { state, kind, weight } = target
  const slots = slotsOf(target, at)
  const reading = freshReading(state, at)
  return {
    url: state.url,
    kind,
    healthy,
    in_flight: state.inFlight,
    slots: Number.isFinite(slots) ? slots : null,
    weight,
    failures: state.failures,
    breaker: state.openUntil === 0 ? 'closed' : isOpen(state, at) ? 'open' : 'half_open',
    first_byte_ms: state.firstByteMs === undefined ? null : Math.round(state.firstByteMs),
    ...(reading
      ? {
          told: {
            foreign: reading.foreign,
            loaded: reading.loaded ? [...reading.loaded] : null,
            cache_use: reading.cacheUse ?? null,
          },
        }
      : {}),
  }
}

/** @param at - On the clock of the targets' states. */
export function targetGauges(pools: Pools, at: number): TargetGauges[] {
  return pools.all().flatMap(pool =>
    pool.targets.map(target => {
      const slots = slotsOf(target, at)
      return {
        pool: pool.name,
        target: target.state.url,
        up: pools.healthy(target),
        inFlight: target.state.inFlight,
        slots: Number.isFinite(slots) ? slots : undefined,
        breakerOpen: isOpen(target.state, at),
      }
    }),
  )
}

export function queueGauges(pools: Pools, places: Pick<Places, 'queued'>): { pool: string; depth: number }[] {
  return pools.all().map(({ name }) => ({ pool: name, depth: places.queued(name) }))
}

export function accessStatus({ directory }: Access, at: number): Status['access'] {
  const pending = directory.all().filter(({ value }) => requestState(value, at) === 'pending')
  return { active: directory.activeCount(at), pending: pending.length }
}
