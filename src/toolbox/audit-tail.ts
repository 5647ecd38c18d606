/**
 * `audit tail`: the latest requests of a log, and with `--follow` those to come.
 */
import { follow } from '../audit/follow.ts'
import { partsOf } from '../audit/parts.ts'
import { lastRecords } from '../audit/read-records.ts'
import { mergedByTime } from '../audit/worker-logs.ts'
import type { Filter } from './audit-filter.ts'
import { createRequests, type RequestRow, type Requests } from './audit-requests.ts'
import { CommandFailure, EXIT, type Format } from './output.ts'
import { safeText } from './safe-text.ts'

export interface TailFlags {
  readonly format: Format
  readonly lines: number
  readonly follow?: boolean
}

/** How often a followed file is looked at. */
const LOOK_MS = 200
const LINES_PER_ENTRY = 4
const FEWEST = 50
const MOST_LINES = 4_000_000

/** @param logs - One, or those of workers that serve together, which are told in the order of time. */
export async function auditTail(
  logs: readonly string[],
  filter: Filter | undefined,
  flags: TailFlags,
): Promise<void> {
  const { stdout } = process
  const show =
    flags.format === 'json' ? (entry: Entry) => entry.lines : pretty(stdout.isTTY && !process.env.NO_COLOR)
  const put = (entry: Entry): void => void stdout.write(`${show(entry).join('\n')}\n`)
  const { entries, seqs, requests, goOn } = await latest(logs, filter, flags.lines)
  for (const entry of entries) put(entry)
  if (!flags.follow) return
  goOn(put)
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const options = { intervalMs: LOOK_MS, signal: stop.signal, onLine: requests.take }
  await Promise.all(logs.map((file, index) => follow(file, { ...options, afterSeq: seqs[index] ?? 0 })))
}

/** A request, or another event. */
interface Entry {
  readonly lines: readonly string[]
  readonly row?: RequestRow
  readonly event?: string
  readonly record?: Readonly<Record<string, unknown>>
}

interface Latest {
  readonly entries: readonly Entry[]
  /** Of the last line that was read of each log. */
  readonly seqs: readonly number[]
  /** Knows which requests are still open. */
  readonly requests: Requests
  /** Where entries go from now on. */
  goOn(put: (entry: Entry) => void): void
}

/** Read from the end on, further and further until there are enough. */
async function latest(logs: readonly string[], filter: Filter | undefined, most: number): Promise<Latest> {
  for (let wanted = Math.max(most, FEWEST) * LINES_PER_ENTRY; ; wanted *= 4) {
    const each = await Promise.all(logs.map(file => lastLines(file, wanted)))
    const lines = each.length === 1 ? (each[0] as string[]) : mergedByTime(each)
    const entries: Entry[] = []
    let put = (entry: Entry): void => void entries.push(entry)
    const requests = createRequests({
      onRequest(row, lines) {
        if (!filter || filter(row)) put({ row, lines })
      },
      // Whoever asks for certain requests does not want the rest.
      onEvent(event, record, line) {
        if (!filter) put({ event, record, lines: [line] })
      },
    })
    for (const line of lines) requests.take(line)
    if (entries.length < most && each.some(({ length }) => length === wanted) && wanted <= MOST_LINES)
      continue
    return {
      entries: most === 0 ? [] : entries.slice(-most),
      seqs: each.map(own => seqIn(own.at(-1))),
      requests,
      goOn(further) {
        put = further
      },
    }
  }
}

async function lastLines(file: string, most: number): Promise<string[]> {
  try {
    return await lastRecords(file, most, () => true)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new CommandFailure(EXIT.failure, `cannot read ${partsOf(file).join(', ')}: ${code ?? message}`)
  }
}

function seqIn(line: string | undefined): number {
  return Number(/"chain":\{"seq":(\d+),/.exec(line?.slice(-200) ?? '')?.[1] ?? 0)
}

const COLOURS = {
  good: '\u001b[32m',
  bad: '\u001b[31m',
  odd: '\u001b[33m',
  dim: '\u001b[2m',
  none: '\u001b[0m',
}

function pretty(coloured: boolean): (entry: Entry) => string[] {
  const paint = (colour: keyof typeof COLOURS, text: string): string =>
    coloured ? `${COLOURS[colour]}${text}${COLOURS.none}` : text
  return ({ row, event = '', record = {} }) => {
    if (row) return [requestLine(row, paint)]
    const { timestamp, chain: _, event: __, ...facts } = record
    return [`${paint('dim', time(timestamp))} ${paint('odd', safeText(event))} ${told(facts)}`.trimEnd()]
  }
}

function requestLine(row: RequestRow, paint: (colour: keyof typeof COLOURS, text: string) => string): string {
  const { outcome, status, code, total_ms, input_tokens, output_tokens } = row
  const colour = outcome === 'completed' ? 'good' : outcome === 'refused' ? 'bad' : 'odd'
  const facts = [
    row.principal ?? '-',
    row.model ?? row.path ?? '-',
    row.rule ?? '-',
    total_ms === null ? undefined : `${total_ms.toFixed(0)} ms`,
    input_tokens === null ? undefined : `${input_tokens}+${output_tokens} tokens`,
    row.target ?? undefined,
  ].filter(fact => fact !== undefined)
  const verdict = [outcome, status, code].filter(part => part !== null).join(' ')
  const line = [
    paint('dim', time(row.timestamp)),
    paint(colour, safeText(verdict)),
    ...facts.map(safeText),
  ].join('  ')
  return `${line}  ${paint('dim', safeText(row.decision_id))}`
}

function told(facts: Readonly<Record<string, unknown>>): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${safeText(typeof value === 'string' ? value : JSON.stringify(value))}`)
    .join(' ')
}

function time(timestamp: unknown): string {
  return typeof timestamp === 'string' ? safeText(timestamp.slice(0, 23).replace('T', ' ')) : ''
}
