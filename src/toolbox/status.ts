/**
 * `status`: what a running gateway is doing.
 */
import type { SinkState } from '../audit/log.ts'
import { formatFinding } from '../contract/findings.ts'
import type { PolicyStatus } from '../policy/activation.ts'
import type { CandidateStatus } from '../policy/candidate.ts'
import { type AdminOptions, askAdmin } from './admin-client.ts'
import { CommandFailure, EXIT, print, printJson, table } from './output.ts'

interface GatewayStatus {
  readonly version: string
  readonly uptime_seconds: number
  readonly policy: PolicyStatus & { readonly candidate?: CandidateStatus }
  readonly pools: Readonly<Record<string, { readonly targets: readonly TargetStatus[] }>>
  readonly store: { readonly engine: string; readonly ok: boolean }
  readonly audit: {
    readonly ok: boolean
    readonly seq: number
    readonly lost: number
    readonly sinks: readonly SinkState[]
  }
}

interface TargetStatus {
  readonly url: string
  readonly healthy: boolean
  readonly in_flight: number
}

export async function status(options: AdminOptions): Promise<void> {
  const answer = await askAdmin(options, 'GET', '/status')
  if (answer.status !== 200) throw new CommandFailure(EXIT.failure, `the gateway answered ${answer.status}`)
  if (options.format === 'json') printJson(answer.body)
  else print(told(answer.body as GatewayStatus))
}

function candidateTold({ revision, decided, flips, mean_us }: CandidateStatus): string {
  if (revision === null) return 'none that could be asked'
  return `${revision}: ${flips} of ${decided} decisions would flip, ${mean_us ?? '-'} µs each`
}

function told(status: GatewayStatus): string {
  const { policy, store, audit } = status
  const facts = [
    ['gateway', `${status.version}, up ${status.uptime_seconds} s`],
    ['policy', policy.revision ?? 'none in force: everything is refused'],
    ...(policy.rolled_back_from === null ? [] : [['', `rolled back from ${policy.rolled_back_from}`]]),
    ...(policy.candidate ? [['candidate', candidateTold(policy.candidate)]] : []),
    ['activated', policy.activated_at ?? '-'],
    ['confirmed', policy.confirmed_at ?? '-'],
    ['held', policy.held.join(', ') || '-'],
    ['store', `${store.engine}, ${good(store.ok)}`],
    ['audit', auditTold(audit)],
    ...audit.sinks.map(sink => ['', sinkTold(sink)]),
  ]
  const sections = [table(facts), targets(status), attempts(policy)]
  return sections.filter(section => section !== '').join('\n\n')
}

function targets({ pools }: GatewayStatus): string {
  const rows = Object.entries(pools).flatMap(([pool, { targets }]) =>
    targets.map(({ url, healthy, in_flight }) => [
      pool,
      url,
      healthy ? 'healthy' : 'ejected',
      `${in_flight}`,
    ]),
  )
  return table([['POOL', 'TARGET', 'STATE', 'IN FLIGHT'], ...rows])
}

/** The latest first, each with what it took and what was wrong. */
function attempts({ attempts }: PolicyStatus): string {
  return attempts
    .map(({ at, outcome, revision, steps, diagnostics, from }) => {
      const what = [at, outcome, revision ?? '', from === undefined ? '' : '(last good)']
      const took = steps.map(({ name, ms }) => `${name} ${ms} ms`).join(', ')
      const lines = [what.filter(Boolean).join(' '), took, ...diagnostics.map(formatFinding)]
      return lines.filter(Boolean).join('\n  ')
    })
    .join('\n')
}

function auditTold({ ok, seq, lost }: GatewayStatus['audit']): string {
  return `${good(ok)}, record ${seq}${lost > 0 ? `, ${lost} served without a record` : ''}`
}

function sinkTold({ name, ok, seq, error, waiting }: SinkState): string {
  const { records = 0 } = (waiting ?? {}) as { records?: number }
  const behind = records > 0 ? `, ${records} records wait` : ''
  return `${name}: ${good(ok)}, record ${seq}${behind}${error ? ` (${error})` : ''}`
}

function good(ok: boolean): string {
  return ok ? 'ok' : 'failing'
}
