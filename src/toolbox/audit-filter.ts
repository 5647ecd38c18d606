/**
 * Which requests of an audit log are meant.
 */
import { parseDuration } from '../contract/units.ts'
import type { RequestRow } from './audit-requests.ts'
import { CommandFailure, EXIT } from './output.ts'

export interface FilterFlags {
  readonly principal?: string
  readonly model?: string
  readonly rule?: string
  readonly outcome?: string
  readonly code?: string
  readonly refused?: boolean
  /** A moment, or a duration before now. */
  readonly since?: string
  readonly until?: string
}

export type Filter = (row: RequestRow) => boolean

/** @returns Undefined when every request is meant. @throws CommandFailure */
export function filterOf(flags: FilterFlags, now: number): Filter | undefined {
  const { principal, model, rule, outcome, code, refused } = flags
  const since = momentOf('--since', flags.since, now)
  const until = momentOf('--until', flags.until, now)
  const tests: Filter[] = [
    ...(principal === undefined ? [] : [(row: RequestRow) => row.principal === principal]),
    ...(model === undefined ? [] : [(row: RequestRow) => row.model === model]),
    ...(rule === undefined ? [] : [(row: RequestRow) => row.rule === rule]),
    ...(outcome === undefined ? [] : [(row: RequestRow) => row.outcome === outcome]),
    ...(code === undefined ? [] : [(row: RequestRow) => row.code === code]),
    ...(refused ? [(row: RequestRow) => row.outcome === 'refused'] : []),
    ...(since === undefined ? [] : [(row: RequestRow) => Date.parse(row.timestamp) >= since]),
    ...(until === undefined ? [] : [(row: RequestRow) => Date.parse(row.timestamp) < until]),
  ]
  return tests.length === 0 ? undefined : row => tests.every(test => test(row))
}

function momentOf(flag: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const moment = Date.parse(text)
  if (!Number.isNaN(moment)) return moment
  try {
    return now - parseDuration(text)
  } catch {
    throw new CommandFailure(
      EXIT.usage,
      `${flag}: expected a moment such as 2026-01-31T12:00:00Z, or a duration such as 24h`,
    )
  }
}
