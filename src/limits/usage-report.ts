/**
 * Usage, summed up: by whom, by what or by when.
 */
import { parseDuration } from '../contract/units.ts'
import type { UsageRow } from '../contract/usage.ts'

export const USAGE_GROUPS = ['principal', 'team', 'model', 'day'] as const
export type UsageGroup = (typeof USAGE_GROUPS)[number]

export interface UsageReport {
  readonly by: UsageGroup
  /** The first day, in UTC. */
  readonly since: string
  readonly usage: readonly UsageSum[]
}

/** And the group, under its own name: null where a request had none. */
export interface UsageSum {
  readonly requests: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: number
  readonly [group: string]: string | number | null
}

/** @returns The day of an instant, in UTC. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

/**
 * @param since - A day, or how long ago, such as `30d`.
 * @returns The first day that is told of; undefined when it is neither.
 */
export function firstDay(since: string, now: number): string | undefined {
  if (/^\d{4}-\d{2}-\d{2}$/.test(since)) return Number.isNaN(Date.parse(since)) ? undefined : since
  try {
    return dayOf(Math.max(0, now - parseDuration(since)))
  } catch {
    return undefined
  }
}

/** Days in order; anything else with the costliest, then the busiest, first. */
export function usageReport(rows: readonly UsageRow[], by: UsageGroup, since: string): UsageReport {
  const sums = new Map<string | null, UsageSum>()
  for (const row of rows) {
    const before = sums.get(row[by])
    sums.set(row[by], {
      [by]: row[by],
      requests: (before?.requests ?? 0) + row.requests,
      input_tokens: (before?.input_tokens ?? 0) + row.input_tokens,
      output_tokens: (before?.output_tokens ?? 0) + row.output_tokens,
      cost: withoutDust((before?.cost ?? 0) + row.cost),
    })
  }
  const order = (one: UsageSum, other: UsageSum): number =>
    by === 'day'
      ? String(one.day).localeCompare(String(other.day))
      : other.cost - one.cost || tokensOf(other) - tokensOf(one) || other.requests - one.requests
  return { by, since, usage: [...sums.values()].sort(order) }
}

function tokensOf({ input_tokens, output_tokens }: UsageSum): number {
  return input_tokens + output_tokens
}

/** What the rounding of sums leaves. */
function withoutDust(cost: number): number {
  return Math.round(cost * 1e9) / 1e9
}
