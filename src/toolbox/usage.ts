/**
 * `usage`: requests, tokens and cost, summed up; from the store, or from the gateway whose memory
 * is all there is.
 */
import {
  firstDay,
  type UsageGroup,
  type UsageReport,
  type UsageSum,
  usageReport,
} from '../limits/usage-report.ts'
import { StoreUnavailable } from '../store/store.ts'
import { askAdmin } from './admin-client.ts'
import { configFor } from './config.ts'
import { CommandFailure, EXIT, print, printJson, table } from './output.ts'
import { withStore } from './store.ts'

export interface UsageOptions {
  readonly config: string
  readonly format: 'pretty' | 'table' | 'csv' | 'json'
  readonly by: UsageGroup
  readonly since: string
  readonly admin?: string
}

export async function usage(options: UsageOptions): Promise<void> {
  const report = await reportOf(options)
  if (options.format === 'json') printJson(report)
  else if (options.format === 'csv') print(rowsOf(report).map(csvLine).join('\n'))
  else {
    const [head, ...rows] = rowsOf(report) as [string[], ...string[][]]
    const shown = rows.map(([group, ...sums]) => [group || '-', ...sums])
    print(table([head.map(name => name.replace('_', ' ').toUpperCase()), ...shown]))
  }
}

async function reportOf({ config: file, by, since, admin }: UsageOptions): Promise<UsageReport> {
  const day = firstDay(since, Date.now())
  if (day === undefined)
    throw new CommandFailure(
      EXIT.usage,
      '--since: expected a duration such as 30d, or a day such as 2026-01-31',
    )
  const config = admin === undefined ? configFor(file, 'pretty') : undefined
  if (!config || config.store.engine === 'memory') return askGateway({ config: file, by, day, admin })
  return withStore(config.store, async store => {
    try {
      return usageReport(await store.usage.since(day), by, day)
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      throw new CommandFailure(EXIT.failure, `the store does not answer: ${error.message}`)
    }
  })
}

async function askGateway({
  config,
  by,
  day,
  admin,
}: {
  readonly config: string
  readonly by: UsageGroup
  readonly day: string
  readonly admin: string | undefined
}): Promise<UsageReport> {
  const place = { config, format: 'pretty' as const, ...(admin === undefined ? {} : { admin }) }
  const answer = await askAdmin(place, 'GET', `/usage?by=${by}&since=${day}`)
  if (answer.status !== 200) throw new CommandFailure(EXIT.failure, `the gateway answered ${answer.status}`)
  return answer.body as UsageReport
}

const SUMS = ['requests', 'input_tokens', 'output_tokens', 'cost'] as const

function rowsOf({ by, usage }: UsageReport): string[][] {
  return [[by, ...SUMS], ...usage.map(sum => [textOf(sum[by]), ...SUMS.map(name => textOf(sum[name]))])]
}

function textOf(value: UsageSum[string] | undefined): string {
  return value === null || value === undefined ? '' : String(value)
}

/** RFC 4180. */
function csvLine(cells: readonly string[]): string {
  return cells.map(cell => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(',')
}
