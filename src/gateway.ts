/**
 * The composition root: builds what exists, in the order it starts, and closes it in reverse.
 */
import { createFileSink } from './audit/file-sink.ts'
import { type AuditLog, createAuditLog } from './audit/log.ts'
import { decisionRecord, eventRecord, outcomeRecord } from './audit/record.ts'
import { type Recovery, recover } from './audit/recover.ts'
import type { FileSinkConfig, GatewayConfig } from './contract/config.schema.ts'
import { parseDuration, parseSize } from './contract/units.ts'
import { createPassage } from './corridor/passage.ts'
import { createPipeline, type Pipeline } from './corridor/pipeline.ts'
import { createRecorder } from './corridor/recorder.ts'
import { createLedger } from './limits/ledger.ts'
import { type Activation, type Attempt, createActivation } from './policy/activation.ts'
import { lookAt } from './policy/edition.ts'
import { createAdminListener } from './server/admin-listener.ts'
import { newId } from './server/ids.ts'
import { createPublicListener, type PublicListener } from './server/public-listener.ts'
import { createSettings } from './settings.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { OperatorLog } from './telemetry/operator-log.ts'
import { createDeadlines } from './upstreams/deadlines.ts'
import { createPools, type Pools } from './upstreams/pools.ts'
import { createProxy } from './upstreams/proxy.ts'
import { VERSION } from './version.ts'
import { type Watcher, watchPath } from './watcher.ts'

export interface Gateway {
  /** Where callers and operators reach it. */
  readonly url: string
  readonly adminUrl: string
  /** Puts the parts of a new config in force that can change while it serves. */
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
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/**
 * Starts a gateway.
 *
 * @returns When it accepts requests; a policy that is not valid does not keep it from starting.
 * @throws when the audit log cannot be opened or an address cannot be had.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, log } = options
  const now = options.now ?? Date.now
  const origin = Date.now() - performance.now()
  const steady = (): number => origin + performance.now()
  const startedAt = now()

  const metrics: Metrics = createMetrics({ models: () => pools.models(), inFlight: () => inFlightOf(pools) })
  const pools = createPools({ now: steady, onChange: (pool, target, up) => metrics.target(pool, target, up) })
  pools.configure(config.pools)
  const settings = createSettings({ config, log, now })

  const audit = await openAudit(config, log, metrics, now)
  const labels = { app: 'sallyport', version: VERSION }
  const record = (event: string, facts?: object): void =>
    void audit.write(eventRecord(event, now(), facts)).catch(() => {})

  const policy = openPolicy(options, pools, metrics, record, now)
  const ledger = createLedger()
  const proxy = createProxy()
  const deadlines = createDeadlines(steady)
  const recorder = createRecorder({
    audit,
    metrics,
    now,
    labels,
    entrypoint: config.policy.entrypoint,
    defaultContent: () => config.audit.content,
  })
  const passage = createPassage({
    proxy,
    pools,
    deadlines,
    expiries: createDeadlines(now),
    recorder,
    metrics,
    now: steady,
    defaultContent: () => config.audit.content,
  })
  const pipeline = createPipeline({
    now,
    policy,
    ledger,
    pools,
    passage,
    recorder,
    metrics,
    log,
    settings: settings.current,
  })

  const { connections, connectionsPerAddress, headers } = config.limits
  const publicListener = createPublicListener({
    maxHeaderBytes: parseSize(headers),
    connections: { total: connections, perAddress: connectionsPerAddress },
    handle: pipeline.handle,
    onMalformed: (address, status, code) =>
      recordMalformed(audit, config, labels, { address, status, code, at: now() }),
  })
  let stopping = false
  const adminListener = createAdminListener({
    token: config.admin.token,
    ready: () => readiness(stopping, policy, audit, pools),
    status,
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    async reloadPolicy() {
      await policy.refresh()
      return policy.status()
    },
  })

  await policy.refresh()
  const watchers: Watcher[] = []
  if (config.policy.watch) watchers.push(watchPath(config.policy.path, () => void policy.refresh()))
  let keysFile = config.identity.apiKeys.file
  let keysWatcher = watchPath(keysFile, settings.reloadKeys)
  const port = await publicListener.listen(config.listen.host, config.listen.port)
  const adminPort = await adminListener.listen(config.admin.host, config.admin.port)
  record('gateway.started', { version: VERSION, revision: policy.current()?.id ?? null })

  function status(): object {
    return {
      version: VERSION,
      uptime_seconds: Math.floor((now() - startedAt) / 1000),
      policy: policy.status(),
      pools: poolStatus(pools, steady()),
      store: { engine: config.store.engine, ok: true },
      audit: audit.state(),
    }
  }

  function applyConfig(next: GatewayConfig): void {
    pools.configure(next.pools)
    settings.apply(next)
    if (next.identity.apiKeys.file !== keysFile) {
      void keysWatcher.close()
      keysFile = next.identity.apiKeys.file
      keysWatcher = watchPath(keysFile, settings.reloadKeys)
    }
    const { connections, connectionsPerAddress } = next.limits
    publicListener.limitConnections({ total: connections, perAddress: connectionsPerAddress })
  }

  async function stop({ hurry = false } = {}): Promise<void> {
    stopping = true
    await Promise.all([...watchers, keysWatcher].map(watcher => watcher.close()))
    await drain(publicListener, pipeline, hurry ? 0 : parseDuration(config.listen.drain))
    await audit.write(eventRecord('gateway.stopped', now())).catch(() => {})
    await adminListener.close()
    proxy.close()
    policy.close()
    audit.close()
  }

  return {
    url: urlOf(config.listen.host, port),
    adminUrl: urlOf(config.admin.host, adminPort),
    applyConfig,
    reloadPolicy: policy.refresh,
    status,
    stop,
  }
}

async function openAudit(
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

function openPolicy(
  { config, log, policyShownAs }: GatewayOptions,
  pools: Pools,
  metrics: Metrics,
  record: (event: string, facts: object) => void,
  now: () => number,
): Activation {
  const { path, entrypoint, builtinErrors, maxMemory, activation } = config.policy
  const shown = policyShownAs ?? path
  return createActivation({
    now,
    look: () =>
      lookAt({
        path,
        shown,
        entrypoint,
        builtinErrors,
        maxMemoryBytes: parseSize(maxMemory),
        runTests: activation.tests,
        maxEvaluationMs: parseDuration(activation.maxEvaluation),
        models: pools.models,
        pools: pools.facts,
      }),
    unreadable: cause => ({
      severity: 'error',
      code: codeOf(cause),
      message: (cause as Error).message,
      file: shown,
      line: 0,
      column: 0,
    }),
    onAttempt(attempt: Attempt) {
      const { outcome, revision, diagnostics, steps } = attempt
      metrics.reload(outcome)
      if (revision !== null) metrics.policy(revision)
      record(`policy.${outcome}`, outcome === 'activated' ? { revision } : { diagnostics })
      if (outcome === 'activated') log.info('policy_activated', { revision, steps })
      else log.error('policy_refused', { diagnostics })
    },
  })
}

function codeOf(cause: unknown): string {
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' ? code.toLowerCase() : 'fault'
}

/** A request that Node's parser refused has no visit, and is on record all the same. */
function recordMalformed(
  audit: AuditLog,
  config: GatewayConfig,
  labels: Readonly<Record<string, string>>,
  { address, status, code, at }: { address: string; status: number; code: string; at: number },
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
      error: 'not a request that HTTP allows',
    }),
  )
}

function readiness(stopping: boolean, policy: Activation, audit: AuditLog, pools: Pools) {
  const checks = {
    serving: !stopping,
    policy: policy.current() !== undefined,
    store: true,
    audit: audit.state().ok,
    targets: pools.all().some(pools.standing),
  }
  return { ok: Object.values(checks).every(Boolean), checks }
}

function poolStatus(pools: Pools, at: number): object {
  return Object.fromEntries(
    pools.all().map(pool => [
      pool.name,
      {
        models: pool.models,
        targets: pool.targets.map(({ state, weight }) => ({
          url: state.url,
          healthy: state.failures === 0 || state.ejectedUntil <= at,
          in_flight: state.inFlight,
          failures: state.failures,
          weight,
        })),
      },
    ]),
  )
}

function inFlightOf(pools: Pools): { pool: string; target: string; count: number }[] {
  return pools
    .all()
    .flatMap(pool =>
      pool.targets.map(({ state }) => ({ pool: pool.name, target: state.url, count: state.inFlight })),
    )
}

/** How long an answer that was ended in its protocol may take to reach its client. */
const LAST_WORDS_MS = 1000
const LOOK_EVERY_MS = 20

async function drain(listener: PublicListener, pipeline: Pipeline, withinMs: number): Promise<void> {
  const closed = listener.close()
  await quiet(pipeline, withinMs)
  if (pipeline.running() > 0) {
    pipeline.drain()
    await quiet(pipeline, LAST_WORDS_MS)
  }
  listener.closeAllConnections()
  await closed
}

function quiet(pipeline: Pipeline, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  return new Promise(resolve => {
    const look = (): void => {
      if (pipeline.running() === 0 || performance.now() >= until) resolve()
      else setTimeout(look, LOOK_EVERY_MS)
    }
    look()
  })
}

function urlOf(host: string, port: number): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}
