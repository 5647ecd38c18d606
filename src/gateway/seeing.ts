/**
 * Seeing: joins what happens to those who look on, and says who may.
 */
import type { AdminConfig } from '../contract/config/listeners.ts'
import type { LimitStanding } from '../contract/seen.ts'
import type { Standing } from '../limits/ledger.ts'
import type { OperatorsNeeds } from '../server/operators.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Pulse } from '../telemetry/pulse.ts'

export function withPulse(metrics: Metrics, pulse: Pulse): Metrics {
  return {
    ...metrics,
    request(facts) {
      metrics.request(facts)
      pulse.request(facts)
    },
    tokens(principal, model, input, output) {
      metrics.tokens(principal, model, input, output)
      pulse.tokens(input, output)
    },
  }
}

export function everySecond(tick: () => void): () => void {
  const timer = setInterval(tick, 1000)
  timer.unref()
  return () => clearInterval(timer)
}

export function operatorsOf({ host, hosts, token, tokens, tls }: AdminConfig): OperatorsNeeds {
  const first = token === undefined ? [] : [{ name: 'admin', role: 'operate' as const, token }]
  return {
    host,
    hosts,
    tokens: [...first, ...tokens],
    certificateRole: tls?.clientCaFile === undefined ? undefined : tls.clientRole,
  }
}

const MOST_SHOWN = 100

/** The limits that are used up furthest, first. */
export function nearestEnd(standings: readonly Standing[]): LimitStanding[] {
  return standings
    .map(({ claim, remaining, resetsAt }) => ({
      name: claim.name,
      key: claim.key,
      unit: claim.unit,
      limit: claim.limit,
      remaining,
      used: usedShare(claim.limit, remaining),
      observe: claim.observe,
      resets_at: resetsAt === undefined ? null : new Date(resetsAt).toISOString(),
    }))
    .sort((one, other) => other.used - one.used)
    .slice(0, MOST_SHOWN)
}

/** From 0 to 1. */
export function usedShare(limit: number, remaining: number): number {
  return limit <= 0 ? 1 : Math.round((1 - Math.min(remaining, limit) / limit) * 1000) / 1000
}

/** By the name of a limit, the largest share that anybody has used of it. */
export function mostUsed(standings: readonly Standing[]): ReadonlyMap<string, number> {
  const most = new Map<string, number>()
  for (const { claim, remaining } of standings)
    most.set(claim.name, Math.max(most.get(claim.name) ?? 0, usedShare(claim.limit, remaining)))
  return most
}
