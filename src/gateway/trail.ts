/**
 * The audit trail of a gateway: opened where the last run left it, and what is written outside
 * of any visit.
 */
import { createFileSink } from '../audit/file-sink.ts'
import { type AuditLog, createAuditLog } from '../audit/log.ts'
import { decisionRecord, eventRecord, outcomeRecord } from '../audit/record.ts'
import { type Recovery, recover } from '../audit/recover.ts'
import type { FileSinkConfig } from '../contract/config/audit.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { newId } from '../server/ids.ts'
import type { RefusedEarly } from '../server/public-listener.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'

/** @throws when the log cannot be opened. */
export async function openAudit(
  config: GatewayConfig,
  log: OperatorLog,
  metrics: Metrics,
  now: () => number,
): Promise<AuditLog> {
  const { path, sync } = config.audit.sinks[0] as FileSinkConfig
  const recovery = await recover(path)
  const audit = createAuditLog({
    sink: createFileSink({
      path,
      sync,
      onHeadFailure: error => log.warn('audit_head_failed', { message: String(error) }),
    }),
    from: recovery.from,
    onFailure: config.audit.onFailure,
    onRecords: metrics.auditRecords,
    onStateChange: (ok, cause) =>
      ok ? log.info('audit_recovered') : log.error('audit_failed', { message: String(cause) }),
  })
  if (!recovery.clean) await recordRecovery(audit, recovery, log, now())
  return audit
}

/** Says what the last run left behind, and closes what it had open. */
async function recordRecovery(
  audit: AuditLog,
  recovery: Recovery,
  log: OperatorLog,
  at: number,
): Promise<void> {
  const facts = {
    torn_bytes: recovery.tornBytes,
    interrupted: recovery.open.length,
    missing_records: recovery.missing,
  }
  const lines = [
    eventRecord('gateway.recovered', at, facts),
    ...recovery.open.map(id => outcomeRecord({ id, at, outcome: 'interrupted' })),
  ]
  await Promise.all(lines.map(line => audit.write(line)))
  log.warn('recovered', facts)
}

/** What was refused before it became a request has no visit, and is on record all the same. */
export function recordRefusedEarly(
  audit: AuditLog,
  config: GatewayConfig,
  labels: Readonly<Record<string, string>>,
  at: number,
  { address, status, code, reason }: RefusedEarly,
): Promise<void> {
  const id = newId(at)
  return audit.write(
    decisionRecord({
      id,
      requestId: id,
      at,
      path: config.policy.entrypoint,
      requestedBy: address,
      http: { method: '', path: '', status },
      revision: null,
      labels,
      erased: [],
      limits: [],
      evalNs: 0,
      code,
      error: reason,
    }),
  )
}
