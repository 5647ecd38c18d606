/**
 * `status`: what a running gateway is doing.
 */
import { formatFinding } from '../contract/findings.ts'
import type {
  AuditState,
  CandidateStatus,
  PolicyStatus,
  SinkState,
  Status,
  WorkerState,
} from '../contract/seen.ts'
import { type AdminOptions, askAdmin } from './admin-client.ts'
import { CommandFailure, EXIT, print, printJson, table } from './output.ts'

export async function status(options: AdminOptions): Promise<void> {
  const answer = await askAdmin(options, 'GET', '/status')
  if (answer.status !== 200) throw new CommandFailure(EXIT.failure, `the gateway answered ${answer.status}`)
  if (options.format === 'json') printJson(answer.body)
  else print(told(answer.body as Status))
}

function candidateTold({ revision, decided, flips, mean_us }: CandidateStatus): string {
  if (revision === null) return 'none that could be asked'
  return `${revision}: ${flips} of ${decided} decisions would flip, ${mean_us ?? '-'} µs each`
}

function told(status: Status): string {
  const { policy, store, audit } = status
  const facts = [
    ['gateway', `${status.version}, up ${status.uptime_seconds} s`],
    ['policy', policy.revision ?? 'none in force: everything is refused'],
    ...(policy.rolled_back_from === null ? [] : [['', `rolled back from ${policy.rolled_back_from}`]]),
    ...(policy.candidate ? [['candidate', candidateTold(policy.candidate)]] : []),
    ['activated', policy.activated_at ?? '-'],
    ['confirmed', policy.confirmed_at ?? '-'],
    ['held', policy.held.join(', ') || '-'],
    ...(status.workers ?? []).map((worker, index) => [index === 0 ? 'workers' : '', workerTold(worker)]),
    ['store', `${store.engine}, ${good(store.ok)}`],
    ['audit', auditTold(audit)],
    ...audit.sinks.map(sink => ['', sinkTold(sink)]),
  ]
  const sections = [table(facts), targets(status), attempts(policy)]
  return sections.filter(section => section !== '').join('\n\n')
}

function targets({ pools }: Status): string {
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

function auditTold({ ok, seq, lost }: AuditState): string {
  return `${good(ok)}, record ${seq}${lost > 0 ? `, ${lost} served without a record` : ''}`
}

function workerTold({ id, pid, ready, restarts }: WorkerState): string {
  const again = restarts === 0 ? '' : `, replaced ${restarts} times`
  return `${id}: ${ready ? `serves, process ${pid}` : 'is not ready'}${again}`
}

function sinkTold({ name, ok, seq, error, waiting, worker }: SinkState): string {
  const { records = 0 } = (waiting ?? {}) as { records?: number }
  const behind = records > 0 ? `, ${records} records wait` : ''
  const whose = worker === undefined ? name : `${name} of worker ${worker}`
  return `${whose}: ${good(ok)}, record ${seq}${behind}${error ? ` (${error})` : ''}`
}

function good(ok: boolean): string {
  return ok ? 'ok' : 'failing'
}
