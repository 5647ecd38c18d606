/**
 * Sight: a gateway at one moment, as lines of a terminal.
 */
import type { LimitStanding, PulseRates, PulseSecond, Status } from '../contract/seen.ts'
import { table } from './output.ts'

export interface Sight {
  readonly status: Status
  readonly seconds: readonly PulseSecond[]
  readonly last: PulseRates
  readonly limits: readonly LimitStanding[]
}

const SHOWN_LIMITS = 6
const LEVELS = '▁▂▃▄▅▆▇█'

/** @param width - In characters. */
export function sightText(sight: Sight, width: number): string {
  const { status, last } = sight
  const sections = [
    `sallyport ${status.version}, up ${length(status.uptime_seconds)}   store ${status.store.engine} ${good(status.store.ok)}   audit ${good(status.audit.ok)}, record ${status.audit.seq}`,
    policyText(status.policy),
    traffic(last, sight.seconds, width),
    pools(status.pools),
    limits(sight.limits),
  ]
  return sections
    .filter(section => section !== '')
    .join('\n\n')
    .split('\n')
    .map(line => line.slice(0, width))
    .join('\n')
}

function policyText({ revision, activated_at, attempts, candidate }: Sight['status']['policy']): string {
  const [latest] = attempts
  const refused = latest?.outcome === 'refused' ? latest.diagnostics[0] : undefined
  return [
    `policy ${revision ?? 'none in force: everything is refused'}${activated_at ? `, since ${activated_at}` : ''}`,
    ...(refused
      ? [`  refused since: ${refused.file}:${refused.line}:${refused.column} ${refused.message}`]
      : []),
    ...(candidate?.revision
      ? [`  candidate ${candidate.revision}: ${candidate.flips} of ${candidate.decided} would flip`]
      : []),
  ].join('\n')
}

function traffic(last: PulseRates, seconds: readonly PulseSecond[], width: number): string {
  const rows = [
    ['REQUESTS/S', 'REFUSED/S', 'FAILED/S', 'P50', 'P99', 'TOKENS IN/S', 'TOKENS OUT/S'],
    [
      `${last.requests_per_second}`,
      `${last.refusals_per_second}`,
      `${last.failures_per_second}`,
      ms(last.p50_ms),
      ms(last.p99_ms),
      `${last.input_tokens_per_second}`,
      `${last.output_tokens_per_second}`,
    ],
  ]
  return `${table(rows)}\n${spark(seconds.map(({ requests }) => requests).slice(-Math.min(width, 120)))}`
}

function pools(all: Sight['status']['pools']): string {
  const rows = Object.entries(all).flatMap(([name, { targets, queued }]) =>
    targets.map(({ url, healthy, in_flight, slots }, index) => [
      index === 0 ? name : '',
      url,
      healthy ? 'healthy' : 'PASSED OVER',
      slots ? `${in_flight} of ${slots}` : `${in_flight}`,
      index === 0 ? `${queued}` : '',
    ]),
  )
  return table([['POOL', 'TARGET', 'STATE', 'IN FLIGHT', 'WAITING'], ...rows])
}

function limits(standings: readonly LimitStanding[]): string {
  const used = standings.filter(({ used }) => used > 0).slice(0, SHOWN_LIMITS)
  if (used.length === 0) return ''
  const rows = used.map(({ name, key, unit, limit, remaining, used }) => [
    key,
    name,
    `${Math.round(used * 100)} %`,
    `${remaining} of ${limit} ${unit}`,
  ])
  return table([['LIMIT OF', 'NAME', 'USED', 'LEFT'], ...rows])
}

/** One character a value. */
export function spark(values: readonly number[]): string {
  const most = Math.max(...values, 1)
  return values
    .map(value => (value === 0 ? ' ' : LEVELS[Math.ceil((value / most) * LEVELS.length) - 1]))
    .join('')
    .trimEnd()
}

function ms(value: number | null): string {
  if (value === null) return '-'
  return value < 1000 ? `${value} ms` : `${Math.round(value / 100) / 10} s`
}

function length(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}

function good(ok: boolean): string {
  return ok ? 'ok' : 'FAILING'
}
