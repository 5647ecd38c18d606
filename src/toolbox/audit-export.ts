/**
 * `audit export`: one row a request, for a spreadsheet or a database.
 */

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Filter } from './audit-filter.ts'
import { readLogs } from './audit-read.ts'
import { COLUMNS, createRequests, type RequestRow } from './audit-requests.ts'

export type ExportFormat = 'csv' | 'ndjson'

export async function auditExport(
  logs: readonly string[],
  filter: Filter | undefined,
  { format, output }: { readonly format: ExportFormat; readonly output?: string },
): Promise<void> {
  const target = output === undefined ? process.stdout : createWriteStream(output, { mode: 0o600 })
  // Who reads no more, such as `head`, has what it wanted.
  let isClosed = false
  target.on('error', error => {
    isClosed = true
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  })
  let text = format === 'csv' ? `${COLUMNS.join(',')}\r\n` : ''
  const requests = createRequests({
    onRequest(row) {
      if (!filter || filter(row)) text += format === 'csv' ? csvLine(row) : `${JSON.stringify(row)}\n`
    },
  })
  const flush = async (): Promise<void> => {
    const more = isClosed || target.write(text)
    text = ''
    if (!more) await once(target, 'drain').catch(() => {})
  }
  await readLogs(logs, requests.take, flush)
  requests.end()
  await flush()
  if (target === process.stdout) return
  target.end()
  await finished(target)
}

export function csvLine(row: RequestRow): string {
  return `${COLUMNS.map(column => cell(row[column])).join(',')}\r\n`
}

/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@\t\r]/

function cell(value: string | number | boolean | null): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const harmless = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
