/**
 * What operators are shown, and what they may do, behind one listener.
 */
import type { Access } from '../access/access.ts'
import type { AdminConfig } from '../contract/config/listeners.ts'
import type { UsageBook } from '../contract/usage.ts'
import { type AdminListenerNeeds, createAdminListener } from '../server/admin-listener.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { Watcher } from '../watcher.ts'
import { createAccessOperator } from './access-operator.ts'
import { dataApi } from './data-api.ts'
import type { Policy } from './policies.ts'
import { rollBack } from './rollback.ts'
import { operatorsOf } from './seeing.ts'
import { hstsSeconds, readTls, watchTls } from './tls.ts'
import { answerUsage } from './usage.ts'

export interface Admin {
  /** @returns The port. */
  listen(): Promise<number>
  /** Undefined without TLS. */
  watchTls(log: OperatorLog): Watcher | undefined
  close(): Promise<void>
}

export interface AdminNeeds
  extends Pick<AdminListenerNeeds, 'ready' | 'status' | 'metrics' | 'journal' | 'live' | 'limits'> {
  readonly config: AdminConfig
  readonly policy: Policy
  readonly access: Access
  readonly usage: UsageBook
  now(): number
  /** Where others decide by the policy, too: when all of them do. */
  settled?(): Promise<void>
  /** Resolves when the event is in the audit log. @throws GatewayError `audit_unavailable` */
  record(event: string, facts: object): Promise<void>
}

export function openAdmin(needs: AdminNeeds): Admin {
  const { config, policy, access, now, record } = needs
  const tlsFiles = config.tls
  const tls = tlsFiles && readTls(tlsFiles)
  const listener = createAdminListener({
    ...needs,
    operators: operatorsOf(config),
    tls,
    hstsSeconds: hstsSeconds(tlsFiles),
    usage: query => answerUsage(needs.usage, query, now()),
    opa: dataApi(policy, now),
    async reloadPolicy() {
      await policy.reload()
      return policy.status()
    },
    async rollbackPolicy(revision) {
      const answer = rollBack(policy, revision)
      await needs.settled?.()
      return answer
    },
    audited: record,
    access: createAccessOperator({ access, policy, now, record }),
  })
  return {
    listen: () => listener.listen(config.host, config.port),
    watchTls: log => tlsFiles && tls && watchTls(tlsFiles, tls, log, listener.renewTls),
    close: listener.close,
  }
}
