/**
 * A gateway of several workers: the primary takes no requests itself. It has the policy, the admin listener
 * and a log of what operators do, starts the workers, and sees to it that they are as one.
 */
import path from 'node:path'
import { eventRecord } from '../audit/record.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Status, WorkerState } from '../contract/seen.ts'
import { createFailedAttempts } from '../identity/attempts.ts'
import { newId } from '../server/ids.ts'
import { openStore } from '../store/open.ts'
import { createJournal } from '../telemetry/journal.ts'
import { createMetrics, WORKER_RESTARTS } from '../telemetry/metrics.ts'
import { createPulse } from '../telemetry/pulse.ts'
import { createCounter } from '../telemetry/tally.ts'
import { createPools, type Pool } from '../upstreams/pools.ts'
import { readTargetTls } from '../upstreams/target-tls.ts'
import { VERSION } from '../version.ts'
import type { Watcher } from '../watcher.ts'
import { createCrew, type WorkerProcess } from '../workers/crew.ts'
import { mergeCandidates, mergePools } from '../workers/merge-status.ts'
import { openAccess } from './access.ts'
import { openAdmin } from './admin.ts'
import { type Closing, openOrClose } from './closing.ts'
import type { Gateway, GatewayOptions } from './gateway.ts'
import { createGathered } from './gathered.ts'
import { closeLeftLogs, workerFolder } from './left-logs.ts'
import { openPolicies } from './policies.ts'
import { everySecond } from './seeing.ts'
import { createSpread } from './spread.ts'
import { accessStatus } from './status.ts'
import { createTeam } from './team.ts'
import { openAudit } from './trail.ts'
import { urlOf } from './url.ts'

/** As a gateway that is one process, but for what has to be told to others first. */
export interface SharedGateway extends Omit<Gateway, 'applyConfig' | 'status'> {
  applyConfig(next: GatewayConfig): Promise<void>
  status(): Promise<object>
}

export interface PrimaryOptions extends GatewayOptions {
  readonly workers: number
  start(number: number): WorkerProcess
  /** A port that is free at this address. */
  freePort(host: string): Promise<number>
}

/** How often workers are told what runs elsewhere, and when the policy was confirmed. */
const TELL_EVERY_MS = 200

/**
 * @returns When all workers take requests.
 * @throws as `createGateway`, and when a worker cannot begin.
 */
export function createPrimary(options: PrimaryOptions): Promise<SharedGateway> {
  return openOrClose(closing => open(options, closing))
}

async function open(options: PrimaryOptions, closing: Closing): Promise<SharedGateway> {
  const { log, workers } = options
  let { config } = options
  const now = options.now ?? Date.now
  const random = Math.random
  const origin = Date.now() - performance.now()
  const steady = (): number => origin + performance.now()
  const stateFolder = path.resolve(options.stateFolder ?? '.sallyport')
  const startedAt = now()

  const metrics = createMetrics({
    models: () => pools.models(),
    targets: () => [],
    queues: () => [],
    grants: () => jit.access.directory.activeCount(now()),
    limitsUsed: () => new Map(),
  })
  const restarts = createCounter(WORKER_RESTARTS)
  for (let worker = 1; worker <= workers; worker++) restarts.add([String(worker)], 0)
  const pools = createPools({ now: steady, random, queued: () => 0, readTls: readTargetTls })
  pools.configure(config.pools)
  const { engine, onFailure } = config.store
  const store = closing.add(
    await openStore(config.store, {
      now,
      gateway: newId(now()),
      onState: ok => metrics.store(engine, ok),
    }),
  )
  metrics.store(engine, store.ok())
  const journal = createJournal({ run: startedAt.toString(36) })
  const trail = { log, metrics, journal, stateFolder, now, random }
  const audit = closing.add(await openAudit({ ...trail, config }))
  await closeLeftLogs({ ...trail, config }, workers)
  const recorded = (event: string, facts?: object): Promise<void> =>
    audit.write(eventRecord(event, now(), facts))
  const record = (event: string, facts?: object): void => void recorded(event, facts).catch(() => {})

  const team = createTeam({
    workers,
    beginning: number => ({
      config,
      stateFolder: workerFolder(stateFolder, number),
      port,
      policy: spread.latest('policy'),
      candidate: spread.latest('candidate'),
      confirmedAt: policy.confirmedAt(),
    }),
    attemptsOf: (_counter, limit, windowMs) => createFailedAttempts(limit, windowMs),
    onGivenUp(mate, why) {
      log.error('worker_given_up', { worker: mate.number, pid: mate.pid, message: why.message })
      crew.kill(mate.number)
    },
    onChanged: id => jit.look(id),
    onEnded: mate => gathered.left(mate),
    // What came while this process was busy is read before it is called late.
    after: ms => new Promise(resolve => void setTimeout(() => setImmediate(resolve), ms).unref()),
  })
  const spread = createSpread(team.hold)
  const { policy, candidate } = openPolicies(
    { ...trail, config, pools, record, spread },
    options.policyShownAs ?? config.policy.path,
    closing,
  )
  const jit = closing.add(
    openAccess({
      store,
      onStoreFailure: onFailure,
      log,
      now,
      steady,
      confirmedAt: policy.confirmedAt,
      attemptsOf: (_counter, limit, windowMs) => createFailedAttempts(limit, windowMs),
      echo: team.echo,
      write: recorded,
      onEnded: () => {},
      webhooks: config.access.webhooks,
      random,
    }),
  )
  const gathered = createGathered({
    team,
    journal,
    pulse: createPulse({ now, everySecond }),
    now,
    every(ms, work) {
      const timer = setInterval(work, ms).unref()
      return () => clearInterval(timer)
    },
  })
  const crew = createCrew({
    count: workers,
    start: options.start,
    join: team.join,
    onReady: (worker, pid) => log.info('worker_ready', { worker, pid }),
    onFailed: (worker, pid, { message }) => log.error('worker_failed', { worker, pid, message }),
    onLost(worker, pid, { code, signal }, againInMs) {
      const facts = { worker, pid, code, signal }
      restarts.add([String(worker)])
      log.error('worker_lost', { ...facts, again_in_ms: againInMs })
      record('worker.lost', facts)
    },
    after(ms, work) {
      const timer = setTimeout(work, ms)
      return () => clearTimeout(timer)
    },
    steady,
  })
  let stopping = false
  const admin = openAdmin({
    config: config.admin,
    policy,
    now,
    record: recorded,
    settled: spread.settled,
    access: jit.access,
    usage: store.usage,
    ready: readiness,
    status,
    metrics: async () => ({
      contentType: metrics.contentType,
      text: (await gathered.metrics(await metrics.text())) + restarts.text(),
    }),
    journal: gathered.journal,
    live: gathered.live,
    limits: gathered.limits,
  })

  team.shares.configure(slotsIn(pools.all()))
  await Promise.all([policy.reload(), candidate?.reload(), jit.open()])
  const watchers: Watcher[] = []
  const watch = (watcher: Watcher | undefined): void => void (watcher && watchers.push(closing.add(watcher)))
  watch(admin.watchTls(log))
  if (config.policy.watch) {
    watch(policy.watch())
    watch(candidate?.watch())
  }
  // All workers listen at one: also those that come when no other is left.
  const port = config.listen.port === 0 ? await options.freePort(config.listen.host) : config.listen.port
  closing.add(crew)
  await crew.open()
  let confirmedAt: number | undefined
  const telling = setInterval(() => {
    team.tellLoads()
    const at = policy.confirmedAt()
    if (at !== undefined && at !== confirmedAt) team.tellConfirmed(at)
    confirmedAt = at
  }, TELL_EVERY_MS).unref()
  closing.add({ close: () => clearInterval(telling) })
  const adminPort = await admin.listen()
  record('gateway.started', { version: VERSION, revision: policy.current()?.id ?? null, workers })

  function readiness() {
    const ready = team.all().filter(mate => mate.ready)
    const told = ready.flatMap(({ load }) => load?.checks ?? [])
    const checks = {
      serving: !stopping && ready.length > 0,
      policy: policy.current() !== undefined,
      store: store.ok() && told.every(({ store }) => store),
      audit: audit.state().ok && told.every(({ audit }) => audit),
      targets: told.some(({ targets }) => targets),
    }
    return { ok: Object.values(checks).every(Boolean), checks }
  }

  async function status(): Promise<Status> {
    await spread.settled()
    const told = await team.gather(mate => mate.wire.ask('status'))
    const own = audit.state()
    const audits = told.map(({ mate, answer }) => ({ worker: mate.number, ...answer.audit }))
    const compared = mergeCandidates(told.flatMap(({ answer }) => answer.candidate ?? []))
    return {
      version: VERSION,
      uptime_seconds: Math.floor((now() - startedAt) / 1000),
      policy: { ...policy.status(), ...(compared ? { candidate: compared } : {}) },
      pools: mergePools(told.map(({ answer }) => answer.pools)),
      store: { engine, ...told[0]?.answer.store, ok: store.ok() },
      access: accessStatus(jit.access, now()),
      audit: {
        ok: own.ok && audits.every(({ ok }) => ok),
        seq: own.seq,
        lost: audits.reduce((sum, { lost }) => sum + lost, own.lost),
        sinks: [
          ...own.sinks,
          ...audits.flatMap(({ worker, sinks }) => sinks.map(sink => ({ ...sink, worker }))),
        ],
      },
      workers: workerStates(),
    }
  }

  function workerStates(): WorkerState[] {
    const mates = new Map(team.all().map(mate => [mate.number, mate]))
    return [...crew.restarts()].map(([id, restarts]) => {
      const { pid = 0, ready = false, revision = null } = mates.get(id) ?? {}
      return { id, pid, ready, revision, restarts }
    })
  }

  return {
    url: urlOf(config.listen, port),
    adminUrl: urlOf(config.admin, adminPort),
    reloadPolicy: policy.reload,
    status,
    async applyConfig(next) {
      pools.configure(next.pools)
      const { pools: nextPools, pricing, limits, identity } = next
      const { headers } = config.limits
      // What needs a restart is for those who come later as it is for the others.
      config = { ...config, pools: nextPools, pricing, limits: { ...limits, headers }, identity }
      team.shares.configure(slotsIn(pools.all()))
      await team.configure(config)
    },
    async stop({ hurry = false } = {}) {
      stopping = true
      await Promise.all(watchers.map(watcher => watcher.close()))
      await crew.stop(hurry)
      await recorded('gateway.stopped').catch(() => {})
      await admin.close()
      await closing.close()
    },
  }
}

/** Where several pools send to one target, it has the most that one of them says. */
function slotsIn(pools: readonly Pool[]): ReadonlyMap<string, number> {
  const most = new Map<string, number>()
  for (const { slots, state } of pools.flatMap(({ targets }) => targets))
    if (slots !== undefined) most.set(state.url, Math.max(slots, most.get(state.url) ?? 0))
  return most
}
