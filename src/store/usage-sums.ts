/**
 * Sums of usage, in memory: rows that are alike become one.
 */
import { quote } from '../contract/quote.ts'
import type { UsageRow } from '../contract/usage.ts'

export interface UsageSums {
  add(rows: readonly UsageRow[]): void
  rows(): UsageRow[]
  /** @returns The rows, which are no longer here. */
  drain(): UsageRow[]
}

export function createUsageSums(): UsageSums {
  const sums = new Map<string, Sum>()
  return {
    add(rows) {
      for (const row of rows) {
        const name = rowName(row)
        const known = sums.get(name)
        if (known) addTo(known, row)
        else sums.set(name, { ...row })
      }
    },
    rows: () => [...sums.values()].map(sum => ({ ...sum })),
    drain() {
      const rows = [...sums.values()]
      sums.clear()
      return rows
    },
  }
}

type Sum = { -readonly [Member in keyof UsageRow]: UsageRow[Member] }

function addTo(sum: Sum, row: UsageRow): void {
  sum.requests += row.requests
  sum.input_tokens += row.input_tokens
  sum.output_tokens += row.output_tokens
  sum.cost += row.cost
}

/** What makes two rows alike, as JSON. */
export function rowName({ day, principal, team, model }: UsageRow): string {
  return `[${quote(day)},${quote(principal)},${textOrNull(team)},${textOrNull(model)}]`
}

function textOrNull(text: string | null): string {
  return text === null ? 'null' : quote(text)
}
