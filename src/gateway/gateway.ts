/**
 * The composition root: builds what exists, in the order it starts, and closes it in reverse.
 */

import path from 'node:path'
import { eventRecord } from '../audit/record.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Status } from '../contract/seen.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import { createMasking } from '../corridor/masking.ts'
import { createPassage } from '../corridor/passage.ts'
import { createPipeline } from '../corridor/pipeline.ts'
import { createRecorder } from '../corridor/recorder.ts'
import { createCandidate } from '../policy/candidate.ts'
import { createAdminListener } from '../server/admin-listener.ts'
import { createTrustedProxies } from '../server/forwarded.ts'
import { createPublicListener } from '../server/public-listener.ts'
import { createJournal } from '../telemetry/journal.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { createPulse } from '../telemetry/pulse.ts'
import { createDeadlines } from '../upstreams/deadlines.ts'
import { VERSION } from '../version.ts'
import type { Watcher } from '../watcher.ts'
import { openAccess } from './access.ts'
import { createAccessOperator } from './access-operator.ts'
import { type Closing, createClosing } from './closing.ts'
import { dataApi } from './data-api.ts'
import { drain } from './drain.ts'
import { createProviders } from './identity.ts'
import { createKeys } from './keys.ts'
import { openCandidate, openPolicy } from './policies.ts'
import { rollBack } from './rollback.ts'
import { everySecond, mostUsed, nearestEnd, operatorsOf, withPulse } from './seeing.ts'
import { createSettings } from './settings.ts'
import { openSharedState } from './shared-state.ts'
import { accessStatus, poolStatus, queueGauges, readiness, targetGauges } from './status.ts'
import { clientTimeouts, hstsSeconds, readTls, watchTls } from './tls.ts'
import { openTracing } from './tracing.ts'
import { openAudit, recordRefusedEarly } from './trail.ts'
import { openUpstreams } from './upstreams.ts'
import { answerUsage } from './usage.ts'

export interface Gateway {
  /** Where callers and operators reach it. */
  readonly url: string
  readonly adminUrl: string
  /** Puts the parts of a new config in force that can change while it serves. @throws when a target's TLS file is no good; then nothing changes. */
  applyConfig(next: GatewayConfig): void
  /** Looks at the policy's source now. */
  reloadPolicy(): Promise<void>
  status(): object
  /**
   * Lets what runs finish within `listen.drain`, ends the rest in its protocol, and closes.
   * @param hurry - Ends what runs at once.
   */
  stop(options?: { hurry?: boolean }): Promise<void>
}

export interface GatewayOptions {
  readonly config: GatewayConfig
  readonly log: OperatorLog
  /** How the policy's path is written in findings; the path itself unless told. */
  readonly policyShownAs?: string
  /** Where the last good bundle is kept; `.sallyport` in the working folder unless told. */
  readonly stateFolder?: string
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Starts a gateway.
 *
 * @returns When it accepts requests; a policy that is not valid does not keep it from starting.
 * @throws when the store or the audit log cannot be opened, or an address cannot be had; then nothing is left open.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const closing = createClosing()
  try {
    return await open(options, closing)
  } catch (error) {
    await closing.close()
    throw error
  }
}

async function open(options: GatewayOptions, closing: Closing): Promise<Gateway> {
  const { config, log } = options
  const now = options.now ?? Date.now
  const origin = Date.now() - performance.now()
  const steady = (): number => origin + performance.now()
  const startedAt = now()

  const pulse = createPulse({ now, everySecond })
  const counted: Metrics = createMetrics({
    models: () => pools.models(),
    targets: () => targetGauges(pools, steady()),
    queues: () => queueGauges(pools, places),
    grants: () => access.directory.activeCount(now()),
    limitsUsed: async () => mostUsed(await pipeline.standings()),
  })
  const metrics = withPulse(counted, pulse)
  const upstreams = closing.add(openUpstreams(steady, Math.random))
  const { pools, places, carrier, deadlines } = upstreams
  const proxies = createTrustedProxies(config.listen.trustedProxies)
  const tlsFiles = config.listen.tls
  const tls = tlsFiles && readTls(tlsFiles)

  const shared = closing.add(await openSharedState({ config: config.store, log, metrics, now }))
  const keys = closing.add(createKeys({ store: shared.store, onFailure: config.store.onFailure, log, now }))
  await keys.configure(config.identity.apiKeys)
  const stateFolder = path.resolve(options.stateFolder ?? '.sallyport')
  const journal = createJournal({ run: startedAt.toString(36) })
  const audit = closing.add(
    await openAudit({ config, log, metrics, journal, stateFolder, now, random: Math.random }),
  )
  const labels = { app: 'sallyport', version: VERSION }
  const recorded = (event: string, facts?: object): Promise<void> =>
    audit.write(eventRecord(event, now(), facts))
  const record = (event: string, facts?: object): void => void recorded(event, facts).catch(() => {})

  const policiesNeeds = { config, log, metrics, pools, record, stateFolder, now, random: Math.random }
  const policy = closing.add(openPolicy(policiesNeeds, options.policyShownAs ?? config.policy.path))
  const candidatePath = config.policy.candidate?.path
  const candidateSource =
    candidatePath === undefined ? undefined : closing.add(openCandidate(policiesNeeds, candidatePath))
  const candidate =
    candidateSource && createCandidate({ current: candidateSource.current, onFlip: metrics.flip })
  const jit = closing.add(
    openAccess({
      store: shared.store,
      onStoreFailure: config.store.onFailure,
      log,
      now,
      steady,
      confirmedAt: policy.confirmedAt,
      write: (event, facts) => audit.write(eventRecord(event, now(), facts)),
      onEnded: grant => pipeline.grantEnded(grant),
      webhooks: config.access.webhooks,
      random: Math.random,
    }),
  )
  const { access } = jit
  const providers = closing.add(createProviders({ log, now }))
  const settings = createSettings({ config, providers, keys, grantTokens: jit.tokens.asked })
  const masking = createMasking({
    key: config.audit.maskKey,
    onStateChange: (ok, reason) =>
      ok ? log.info('audit_mask_recovered') : log.error('audit_mask_failed', { message: reason }),
  })
  const { entrypoint } = config.policy
  const recorder = createRecorder({
    audit,
    masking,
    metrics,
    usage: shared.store.usage,
    log,
    now,
    labels,
    entrypoint,
    defaultContent: () => config.audit.content,
  })
  const passage = createPassage({
    carrier,
    pools,
    places,
    deadlines,
    retried: metrics.retry,
    expiries: createDeadlines(now),
    recorder,
    metrics,
    now: steady,
    defaultContent: () => config.audit.content,
  })
  const tracing = closing.add(
    openTracing(config.telemetry, { log, metrics, now: steady, random: Math.random }),
  )
  const pipeline = createPipeline({
    tracer: tracing.tracer,
    now,
    policy,
    ledger: shared.ledger,
    pools,
    passage,
    recorder,
    metrics,
    log,
    candidate,
    accessApi: jit.api,
    grants: jit.grants,
    proxies,
    settings: settings.current,
  })

  const { connections, connectionsPerAddress, headers } = config.limits
  const publicListener = createPublicListener({
    maxHeaderBytes: parseSize(headers),
    connections: { total: connections, perAddress: connectionsPerAddress },
    timeouts: clientTimeouts(config.listen.timeouts),
    tls,
    hstsSeconds: hstsSeconds(tlsFiles),
    proxies,
    handle: pipeline.handle,
    onRefused: refused =>
      recordRefusedEarly(
        { audit, masking, entrypoint, labels },
        { ...refused, at: now(), policy: policy.current() },
      ),
  })
  let stopping = false
  const adminTlsFiles = config.admin.tls
  const adminTls = adminTlsFiles && readTls(adminTlsFiles)
  const adminListener = createAdminListener({
    operators: operatorsOf(config.admin),
    tls: adminTls,
    hstsSeconds: hstsSeconds(adminTlsFiles),
    ready: () => readiness(stopping, policy, audit, pools, shared.store),
    status,
    usage: query => answerUsage(shared.store.usage, query, now()),
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    journal,
    live: pulse,
    limits: async () => ({ limits: nearestEnd(await pipeline.standings()) }),
    opa: dataApi(policy, now),
    async reloadPolicy() {
      await policy.reload()
      return policy.status()
    },
    rollbackPolicy: revision => rollBack(policy, revision),
    audited: recorded,
    access: createAccessOperator({ access, policy, now, record: recorded }),
  })

  upstreams.configure(config.pools)
  await Promise.all([policy.reload(), candidateSource?.reload(), jit.open()])
  const watchers: Watcher[] = [providers, keys]
  const watch = (watcher: Watcher): void => void watchers.push(closing.add(watcher))
  if (tls) watch(watchTls(tlsFiles, tls, log, publicListener.renewTls))
  if (adminTls) watch(watchTls(adminTlsFiles, adminTls, log, adminListener.renewTls))
  if (config.policy.watch) {
    watch(policy.watch())
    if (candidateSource) watch(candidateSource.watch())
  }
  closing.add({
    close() {
      publicListener.closeAllConnections()
      return publicListener.close()
    },
  })
  const port = await publicListener.listen(config.listen.host, config.listen.port)
  const adminPort = await adminListener.listen(config.admin.host, config.admin.port)
  record('gateway.started', { version: VERSION, revision: policy.current()?.id ?? null })

  function status(): Status {
    return {
      version: VERSION,
      uptime_seconds: Math.floor((now() - startedAt) / 1000),
      policy: { ...policy.status(), ...(candidate ? { candidate: candidate.status() } : {}) },
      pools: poolStatus(pools, places, steady()),
      store: shared.status(),
      access: accessStatus(access, now()),
      audit: audit.state(),
    }
  }

  function applyConfig(next: GatewayConfig): void {
    upstreams.configure(next.pools)
    settings.apply(next)
    const { connections, connectionsPerAddress } = next.limits
    publicListener.limitConnections({ total: connections, perAddress: connectionsPerAddress })
  }

  async function stop({ hurry = false } = {}): Promise<void> {
    stopping = true
    jit.api.endWaits()
    await Promise.all(watchers.map(watcher => watcher.close()))
    await drain(publicListener, pipeline, hurry ? 0 : parseDuration(config.listen.drain))
    await audit.write(eventRecord('gateway.stopped', now())).catch(() => {})
    await adminListener.close()
    await closing.close()
  }

  return {
    url: urlOf(config.listen.host, port, tls ? 'https' : 'http'),
    adminUrl: urlOf(config.admin.host, adminPort, adminTls ? 'https' : 'http'),
    applyConfig,
    reloadPolicy: policy.reload,
    status,
    stop,
  }
}

function urlOf(host: string, port: number, scheme = 'http'): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}
