/**
 * What takes requests: the corridor with all the rooms off it, and its listener.
 *
 * Where its policies come from, and what it shares with others beside the store, is handed in: a gateway
 * that stands alone has all of it itself, one of several workers has it from their primary.
 */
import type { AuditLog } from '../audit/log.ts'
import { eventRecord } from '../audit/record.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Status } from '../contract/seen.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import { createMasking } from '../corridor/masking.ts'
import { createPassage } from '../corridor/passage.ts'
import { createPipeline, type Pipeline, type PipelineNeeds } from '../corridor/pipeline.ts'
import { createRecorder } from '../corridor/recorder.ts'
import { type CandidateNeeds, createCandidate } from '../policy/candidate.ts'
import type { Revision } from '../policy/revision.ts'
import { createTrustedProxies } from '../server/forwarded.ts'
import { createPublicListener } from '../server/public-listener.ts'
import { createJournal, type Journal } from '../telemetry/journal.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { createPulse, type Pulse } from '../telemetry/pulse.ts'
import { createDeadlines } from '../upstreams/deadlines.ts'
import { VERSION } from '../version.ts'
import type { Watcher } from '../watcher.ts'
import { type GatewayAccess, openAccess } from './access.ts'
import type { Closing } from './closing.ts'
import { drain } from './drain.ts'
import { createProviders } from './identity.ts'
import { createKeys } from './keys.ts'
import type { PoliciesNeeds } from './policies.ts'
import { everySecond, mostUsed, withPulse } from './seeing.ts'
import { type AttemptsOf, createSettings } from './settings.ts'
import { openSharedState, type SharedState } from './shared-state.ts'
import { accessStatus, poolStatus, queueGauges, readiness, targetGauges } from './status.ts'
import { clientTimeouts, hstsSeconds, readTls, watchTls } from './tls.ts'
import { openTracing } from './tracing.ts'
import { openAudit, recordRefusedEarly } from './trail.ts'
import { openUpstreams, type Upstreams, type UpstreamsNeeds } from './upstreams.ts'

/** The policy in force and, beside it, perhaps a candidate: whoever made them. */
export interface Policies {
  readonly policy: { current(): Revision | undefined; confirmedAt(): number | undefined }
  readonly candidate: Pick<CandidateNeeds, 'current'> | undefined
}

export interface ServingNeeds<P extends Policies> extends Pick<UpstreamsNeeds, 'shares' | 'queuedElsewhere'> {
  readonly config: GatewayConfig
  readonly log: OperatorLog
  /** Where what must outlive the process is kept. */
  readonly stateFolder: string
  /** Of each decision's record, besides its own. */
  readonly labels?: Readonly<Record<string, string>>
  readonly attemptsOf: AttemptsOf
  readonly namedElsewhere?: NonNullable<PipelineNeeds['namedElsewhere']>
  /** Where others know of a change of access only later: has them look at it. Never rejects. */
  echo?(id: string): Promise<void>
  openPolicies(needs: PoliciesNeeds): P
  /** Others take requests at the same address. */
  readonly sharesAddress?: boolean
  now(): number
  /** Milliseconds on a clock that does not go back. */
  steady(): number
  /** At least 0, less than 1. */
  random(): number
  readonly closing: Closing
}

export interface Serving<P extends Policies> {
  readonly policies: P
  readonly startedAt: number
  readonly metrics: Metrics
  readonly pulse: Pulse
  readonly journal: Journal
  readonly shared: SharedState
  readonly jit: GatewayAccess
  readonly audit: AuditLog
  readonly pipeline: Pick<Pipeline, 'named' | 'standings'>
  readonly upstreams: Upstreams
  /** Resolves when the event is in the audit log. @throws GatewayError `audit_unavailable` */
  record(event: string, facts?: object): Promise<void>
  readiness(): ReturnType<typeof readiness>
  status(): Omit<Status, 'policy'> & Pick<Status['policy'], 'candidate'>
  /** @throws when a target's TLS file is no good; then nothing changes. */
  configure(next: GatewayConfig): void
  /** Has its TLS files followed from now on, and takes requests. @returns The port. */
  listen(port?: number): Promise<number>
  /** Ends what it follows, and then what runs. */
  drain(watchers: readonly Watcher[], hurry: boolean): Promise<void>
}

/** @throws when the store or the audit log cannot be opened; what was opened is in `closing`. */
export async function openServing<P extends Policies>(needs: ServingNeeds<P>): Promise<Serving<P>> {
  const { config, log, now, steady, random, closing, stateFolder } = needs
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
  const upstreams = closing.add(openUpstreams(needs))
  const { pools, places, carrier, deadlines } = upstreams
  const proxies = createTrustedProxies(config.listen.trustedProxies)
  const tlsFiles = config.listen.tls
  const tls = tlsFiles && readTls(tlsFiles)

  const shared = closing.add(await openSharedState({ config: config.store, log, metrics, now }))
  const keys = closing.add(createKeys({ store: shared.store, onFailure: config.store.onFailure, log, now }))
  await keys.configure(config.identity.apiKeys)
  const journal = createJournal({ run: startedAt.toString(36) })
  const audit = closing.add(await openAudit({ config, log, metrics, journal, stateFolder, now, random }))
  const labels = { app: 'sallyport', version: VERSION, ...needs.labels }
  const recorded = (event: string, facts?: object): Promise<void> =>
    audit.write(eventRecord(event, now(), facts))
  const record = (event: string, facts?: object): void => void recorded(event, facts).catch(() => {})

  const policies = needs.openPolicies({ config, log, metrics, pools, record, stateFolder, now, random })
  const { policy } = policies
  const candidate =
    policies.candidate && createCandidate({ current: policies.candidate.current, onFlip: metrics.flip })
  const jit = closing.add(
    openAccess({
      store: shared.store,
      onStoreFailure: config.store.onFailure,
      log,
      now,
      steady,
      confirmedAt: policy.confirmedAt,
      attemptsOf: needs.attemptsOf,
      ...(needs.echo && { echo: needs.echo }),
      write: recorded,
      onEnded: grant => pipeline.grantEnded(grant),
      webhooks: config.access.webhooks,
      random,
    }),
  )
  const { access } = jit
  const providers = closing.add(createProviders({ log, now }))
  const settings = createSettings({
    config,
    providers,
    keys,
    grantTokens: jit.tokens.asked,
    attemptsOf: needs.attemptsOf,
  })
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
  const tracing = closing.add(openTracing(config.telemetry, { log, metrics, now: steady, random }))
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
    ...(needs.namedElsewhere && { namedElsewhere: needs.namedElsewhere }),
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
    sharesAddress: needs.sharesAddress ?? false,
    handle: pipeline.handle,
    onRefused: refused =>
      recordRefusedEarly(
        { audit, masking, entrypoint, labels },
        { ...refused, at: now(), policy: policy.current() },
      ),
  })
  let stopping = false
  const followed: Watcher[] = [providers, keys]

  function configure(next: GatewayConfig): void {
    upstreams.configure(next.pools)
    settings.apply(next)
    const { connections, connectionsPerAddress } = next.limits
    publicListener.limitConnections({ total: connections, perAddress: connectionsPerAddress })
  }

  function listen(port = config.listen.port): Promise<number> {
    if (tls) followed.push(closing.add(watchTls(tlsFiles, tls, log, publicListener.renewTls)))
    closing.add({
      close() {
        publicListener.closeAllConnections()
        return publicListener.close()
      },
    })
    return publicListener.listen(config.listen.host, port)
  }

  return {
    policies,
    startedAt,
    metrics,
    pulse,
    journal,
    shared,
    jit,
    audit,
    pipeline,
    upstreams,
    record: recorded,
    readiness: () => readiness(stopping, policy, audit, pools, shared.store),
    status: () => ({
      version: VERSION,
      uptime_seconds: Math.floor((now() - startedAt) / 1000),
      ...(candidate ? { candidate: candidate.status() } : {}),
      pools: poolStatus(pools, places, steady()),
      store: shared.status(),
      access: accessStatus(access, now()),
      audit: audit.state(),
    }),
    configure,
    listen,
    async drain(watchers, hurry) {
      stopping = true
      jit.api.endWaits()
      await Promise.all([...followed, ...watchers].map(watcher => watcher.close()))
      await drain(publicListener, pipeline, hurry ? 0 : parseDuration(config.listen.drain))
      await recorded('gateway.stopped').catch(() => {})
    },
  }
}
