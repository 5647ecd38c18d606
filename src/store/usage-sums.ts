/**
 * Sums of usage, in memory: rows that are alike become one.
 */
import type { UsageRow } from '../contract/usage.ts'

export interface UsageSums {
  add(rows: readonly UsageRow[]): void
  rows(): UsageRow[]
  /** @returns The rows, which are no longer here. */
  drain(): UsageRow[]
}

export function createUsageSums(): UsageSums {
  const sums = new Map<string, UsageRow>()
  return {
    add(rows) {
      for (const row of rows) {
        const name = rowName(row)
        const known = sums.get(name)
        sums.set(name, known ? sumOf(known, row) : row)
      }
    },
    rows: () => [...sums.values()],
    drain() {
      const rows = [...sums.values()]
      sums.clear()
      return rows
    },
  }
}

/** What makes two rows alike, as JSON. */
export function rowName({ day, principal, team, model }: UsageRow): string {
  return JSON.stringify([day, principal, team, model])
}

function sumOf(one: UsageRow, other: UsageRow): UsageRow {
  return {
    ...one,
    requests: one.requests + other.requests,
    input_tokens: one.input_tokens + other.input_tokens,
    output_tokens: one.output_tokens + other.output_tokens,
    cost: one.cost + other.cost,
  }
}
