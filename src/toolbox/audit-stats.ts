/**
 * `audit stats`: what a log amounts to, per principal, model, rule and hour.
 */
import type { Filter } from './audit-filter.ts'
import { readLogs } from './audit-read.ts'
import { createRequests, type RequestRow } from './audit-requests.ts'
import { type Format, print, printJson, table } from './output.ts'
import { createQuantiles, type Quantiles } from './quantiles.ts'
import { safeText } from './safe-text.ts'

export interface Sums {
  readonly requests: number
  readonly refused: number
  /** Let through, and neither completed nor still open. */
  readonly failed: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: number
  /** Milliseconds, of what was let through and ended. */
  readonly latency: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null }
}

type Group = Readonly<Record<string, unknown>> & Sums

export interface Stats {
  readonly from: string | null
  readonly to: string | null
  readonly total: Sums
  readonly by_principal: readonly Group[]
  readonly by_model: readonly Group[]
  readonly by_rule: readonly Group[]
  /** In order of time. */
  readonly by_hour: readonly Group[]
  /** Lines that are no records. */
  readonly torn: number
}

/** Further names are summed up together. */
const MOST_NAMES = 10_000
const OTHERS = 'other'

export async function auditStats(
  logs: readonly string[],
  filter: Filter | undefined,
  format: Format,
  shownRows: number,
): Promise<void> {
  const stats = createStats()
  const requests = createRequests({
    onRequest: row => {
      if (!filter || filter(row)) stats.add(row)
    },
  })
  await readLogs(logs, requests.take)
  requests.end()
  const result = { ...stats.result(), torn: requests.counts().torn }
  if (format === 'json') printJson(result)
  else printStats(result, shownRows)
}

export function createStats() {
  const total = createSum()
  const principals = createGroups()
  const models = createGroups()
  const rules = createGroups()
  const hours = createGroups()
  let from: string | null = null
  let to: string | null = null
  return {
    add(row: RequestRow): void {
      total.add(row)
      principals.of(row.principal).add(row)
      models.of(row.model).add(row)
      rules.of(row.rule ?? row.code).add(row)
      hours.of(`${row.timestamp.slice(0, 13)}:00:00Z`).add(row)
      if (from === null || row.timestamp < from) from = row.timestamp
      if (to === null || row.timestamp > to) to = row.timestamp
    },
    result(): Omit<Stats, 'torn'> {
      return {
        from,
        to,
        total: total.sums(),
        by_principal: principals.named('principal'),
        by_model: models.named('model'),
        by_rule: rules.named('rule'),
        by_hour: hours.named('hour').sort((a, b) => (String(a.hour) < String(b.hour) ? -1 : 1)),
      }
    },
  }
}

function createGroups() {
  const groups = new Map<string, Sum>()
  return {
    of(name: string | null): Sum {
      const key = name ?? 'none'
      const shown = groups.has(key) || groups.size < MOST_NAMES ? key : OTHERS
      const known = groups.get(shown) ?? createSum()
      groups.set(shown, known)
      return known
    },
    /** The largest first. */
    named: (column: string): Group[] =>
      [...groups]
        .map(([name, sum]) => ({ [column]: name, ...sum.sums() }))
        .sort((a, b) => b.requests - a.requests),
  }
}

interface Sum {
  add(row: RequestRow): void
  sums(): Sums
}

function createSum(): Sum {
  const counts = { requests: 0, refused: 0, failed: 0, input_tokens: 0, output_tokens: 0, cost: 0 }
  let latency: Quantiles | undefined
  return {
    add({ outcome, input_tokens, output_tokens, cost, total_ms }) {
      counts.requests++
      if (outcome === 'refused') counts.refused++
      else if (outcome !== 'completed' && outcome !== 'open') counts.failed++
      counts.input_tokens += input_tokens ?? 0
      counts.output_tokens += output_tokens ?? 0
      counts.cost += cost ?? 0
      if (total_ms === null) return
      latency ??= createQuantiles()
      latency.add(total_ms)
    },
    sums: () => ({
      ...counts,
      cost: Number(counts.cost.toPrecision(12)),
      latency: {
        p50: latency?.at(0.5) ?? null,
        p95: latency?.at(0.95) ?? null,
        p99: latency?.at(0.99) ?? null,
      },
    }),
  }
}

function printStats(stats: Stats, shownRows: number): void {
  const { from, to, total, torn } = stats
  print(
    table([
      ['from', from ?? '-'],
      ['to', to ?? '-'],
      ...TITLES.map((title, index) => [title.toLowerCase(), cells(total)[index] as string]),
    ]),
  )
  const sections = [
    ['principal', stats.by_principal],
    ['model', stats.by_model],
    ['rule', stats.by_rule],
    ['hour', stats.by_hour],
  ] as const
  for (const [column, groups] of sections) {
    const most = column === 'hour' ? groups.slice(-shownRows) : groups.slice(0, shownRows)
    if (most.length === 0) continue
    const rows = most.map(group => [safeText(String(group[column])), ...cells(group)])
    print(`\n${table([[column.toUpperCase(), ...TITLES], ...rows])}`)
    if (groups.length > most.length) print(`and ${groups.length - most.length} more`)
  }
  if (torn > 0) print(`\n${torn} lines are no records`)
}

const TITLES = ['REQUESTS', 'REFUSED', 'FAILED', 'P50 MS', 'P95 MS', 'P99 MS', 'TOKENS IN', 'OUT', 'COST']

function cells({ requests, refused, failed, latency, input_tokens, output_tokens, cost }: Sums): string[] {
  const counts = [requests, refused, failed, latency.p50, latency.p95, latency.p99]
  return [...counts, input_tokens, output_tokens, cost].map(value => (value === null ? '-' : String(value)))
}
