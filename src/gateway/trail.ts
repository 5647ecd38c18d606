/**
 * The audit trail of a gateway: opened where the last run left it, and what is written outside
 * of any visit.
 */
import { type AuditLog, createAuditLog } from '../audit/log.ts'
import { decisionRecord, eventRecord, outcomeRecord } from '../audit/record.ts'
import type { Recovery } from '../audit/recover.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Masking, MaskPolicy } from '../corridor/masking.ts'
import { newId } from '../server/ids.ts'
import type { RefusedEarly } from '../server/public-listener.ts'
import type { Journal } from '../telemetry/journal.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { checkpointsOf, openSinks } from './sinks.ts'

export interface TrailNeeds {
  readonly config: GatewayConfig
  readonly log: OperatorLog
  readonly metrics: Metrics
  /** Keeps what was written for reading. */
  readonly journal: Pick<Journal, 'take'>
  /** Where what must outlive the process is kept. */
  readonly stateFolder: string
  now(): number
  random(): number
}

/** @throws when a sink cannot be opened, or another gateway writes it. */
export async function openAudit(needs: TrailNeeds): Promise<AuditLog> {
  const { log, metrics, journal, now } = needs
  const { audit: config } = needs.config
  let open: AuditLog | undefined
  const checkpoints = checkpointsOf(config)
  const { channels, recoveries, release } = await openSinks({
    ...needs,
    config,
    onPruned(sink, paths, last) {
      log.info('audit_pruned', { sink, paths })
      const facts = { sink, parts: paths.length, up_to: last }
      void open?.write(eventRecord('audit.pruned', now(), facts)).catch(() => {})
    },
  })
  const audit = createAuditLog({
    channels,
    checkpoints,
    now,
    onFailure: config.onFailure,
    onAccepted: journal.take,
    // What was only put in line for an upload is counted when it was delivered.
    onRecords: (sink, count, outcome) => {
      const isQueued =
        outcome === 'written' && channels.some(({ name, type }) => name === sink && type === 'http')
      if (!isQueued) metrics.auditRecords(sink, count, outcome)
    },
    onStateChange: (sink, ok, cause) =>
      ok
        ? log.info('audit_recovered', { sink })
        : log.error('audit_failed', { sink, message: String(cause) }),
  })
  open = audit
  if (recoveries.some(({ clean }) => !clean)) await recordRecovery(audit, recoveries, log, now())
  return {
    ...audit,
    async close() {
      await audit.close()
      release()
    },
  }
}

/** Says what the last run left behind, and closes what it had open. */
async function recordRecovery(
  audit: AuditLog,
  recoveries: readonly Recovery[],
  log: OperatorLog,
  at: number,
): Promise<void> {
  const open = new Set(recoveries.flatMap(recovery => recovery.open))
  const facts = {
    torn_bytes: sum(recoveries.map(({ tornBytes }) => tornBytes)),
    interrupted: open.size,
    missing_records: sum(recoveries.map(({ missing }) => missing)),
  }
  const lines = [
    eventRecord('gateway.recovered', at, facts),
    ...[...open].map(id => outcomeRecord({ id, at, outcome: 'interrupted' })),
  ]
  await Promise.all(lines.map(line => audit.write(line)))
  log.warn('recovered', facts)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

export interface RefusedEarlyNeeds {
  readonly audit: AuditLog
  readonly masking: Masking
  readonly entrypoint: string
  readonly labels: Readonly<Record<string, string>>
}

/** What was refused before it became a request, and the policy whose masks its record is due. */
export interface EarlyRefusal extends RefusedEarly {
  readonly at: number
  readonly policy: MaskPolicy | undefined
}

/** It has no visit, and is on record all the same. @returns Its `decision_id`, once it is written. */
export async function recordRefusedEarly(
  { audit, masking, entrypoint, labels }: RefusedEarlyNeeds,
  { address, status, code, reason, at, policy }: EarlyRefusal,
): Promise<string> {
  const id = newId(at)
  await audit.write(
    decisionRecord({
      id,
      requestId: id,
      at,
      path: entrypoint,
      requestedBy: address,
      http: { method: '', path: '', status },
      revision: null,
      labels: JSON.stringify(labels),
      erased: [],
      limits: [],
      evalNs: 0,
      code,
      error: reason,
    }),
    masking.maskerFor({ id, now: at, revision: policy }),
  )
  return id
}
