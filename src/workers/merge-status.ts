/**
 * What several workers tell of themselves, as one.
 */
import type { CandidateStatus, LimitStanding, PoolStatus, TargetStatus } from '../contract/seen.ts'

type PoolsStatus = Readonly<Record<string, PoolStatus>>

export function mergePools([first, ...others]: readonly PoolsStatus[]): PoolsStatus {
  if (!first) return {}
  return Object.fromEntries(
    Object.entries(first).map(([name, pool]) => {
      const alike = others.flatMap(pools => pools[name] ?? [])
      return [
        name,
        {
          ...pool,
          queued: alike.reduce((sum, { queued }) => sum + queued, pool.queued),
          targets: pool.targets.map((target, index) =>
            mergeTargets([target, ...alike.flatMap(({ targets }) => targets[index] ?? [])]),
          ),
        },
      ]
    }),
  )
}

const BREAKERS = ['open', 'half_open', 'closed'] as const

/** It takes requests where some worker sends it any. */
function mergeTargets(seen: readonly [TargetStatus, ...TargetStatus[]]): TargetStatus {
  const measured = seen.flatMap(({ first_byte_ms }) => first_byte_ms ?? [])
  return {
    ...seen[0],
    healthy: seen.some(({ healthy }) => healthy),
    in_flight: seen.reduce((sum, { in_flight }) => sum + in_flight, 0),
    failures: Math.max(...seen.map(({ failures }) => failures)),
    breaker: BREAKERS.find(state => seen.some(({ breaker }) => breaker === state)) ?? 'closed',
    first_byte_ms:
      measured.length === 0 ? null : Math.round(measured.reduce((sum, ms) => sum + ms, 0) / measured.length),
  }
}

const KEPT_EXAMPLES = 20

export function mergeCandidates([first, ...others]: readonly CandidateStatus[]): CandidateStatus | undefined {
  if (!first) return undefined
  const alike = [first, ...others.filter(({ revision }) => revision === first.revision)]
  const decided = alike.reduce((sum, one) => sum + one.decided, 0)
  const spent = alike.reduce((sum, one) => sum + (one.mean_us ?? 0) * one.decided, 0)
  return {
    revision: first.revision,
    decided,
    flips: alike.reduce((sum, { flips }) => sum + flips, 0),
    mean_us: decided === 0 ? null : Math.round((spent / decided) * 1000) / 1000,
    examples: alike
      .flatMap(({ examples }) => examples)
      .sort((one, other) => (one.at < other.at ? 1 : -1))
      .slice(0, KEPT_EXAMPLES),
  }
}

const MOST_LIMITS = 100

/** All count in one store, so what was told of a limit last, which is what leaves least, is true. */
export function mergeLimits(all: readonly (readonly LimitStanding[])[]): readonly LimitStanding[] {
  const merged = new Map<string, LimitStanding>()
  for (const standing of all.flat()) {
    const key = JSON.stringify([standing.name, standing.key, standing.unit, standing.limit])
    const known = merged.get(key)
    if (!known || standing.remaining < known.remaining) merged.set(key, standing)
  }
  return [...merged.values()].sort((one, other) => other.used - one.used).slice(0, MOST_LIMITS)
}
