/**
 * One of several that serve together: all that takes requests, and a wire to the primary, which has its
 * policy, deals out slots, and shows operators what it does.
 */
import { workerLog } from '../audit/worker-logs.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { NamedLimits } from '../corridor/own-api.ts'
import type { FailedAttempts } from '../identity/attempts.ts'
import { createHandedHolder, type HandedHolder } from '../policy/activate/handed.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { VERSION } from '../version.ts'
import type {
  Beginning,
  HandedPolicy,
  Load,
  PrimaryAnswers,
  PrimaryNotices,
  WorkerAnswers,
  WorkerNotices,
} from '../workers/messages.ts'
import { ownConfig } from '../workers/own-config.ts'
import { createShareHolder, type ShareHolder } from '../workers/share-holder.ts'
import { createWire, type Port } from '../workers/wire.ts'
import { createClosing } from './closing.ts'
import { engineNeeds } from './policies.ts'
import { nearestEnd } from './seeing.ts'
import { openServing, type Policies, type Serving } from './serving.ts'
import type { AttemptsOf } from './settings.ts'

export interface WorkerNeeds {
  /** From 1. */
  readonly number: number
  readonly port: Port
  readonly log: OperatorLog
  now(): number
  steady(): number
  random(): number
  /** Ends the process. */
  exit(): void
}

/** How often the primary is told what runs here. */
const TELL_EVERY_MS = 200

interface HandedPolicies extends Policies {
  readonly policy: HandedHolder
  readonly candidate: HandedHolder | undefined
}

/** Does what the primary says. */
export function runWorker(needs: WorkerNeeds): void {
  const { number, port, log, now, steady, random } = needs
  const closing = createClosing()
  const queued = new Map<string, number>()
  let policies: HandedPolicies | undefined
  let serving: Serving<HandedPolicies> | undefined
  let shares: ShareHolder | undefined
  let workers = 1
  /** What came after that with which it began. */
  let latest: GatewayConfig | undefined
  let telling: NodeJS.Timeout | undefined
  let toldLast = ''

  const wire = createWire<PrimaryAnswers, PrimaryNotices, WorkerAnswers, WorkerNotices>(
    port,
    {
      begin,
      hold: handed => hold(handed),
      configure(next) {
        latest = ownConfig(next, number, workers, workerLog)
        serving?.configure(latest)
      },
      status() {
        const { candidate, pools, store, audit } = here().status()
        const revision = policies?.policy.current()?.id ?? null
        return { revision, pools, store, audit, candidate }
      },
      metrics: () => here().metrics.text(),
      limits: async () => nearestEnd(await here().pipeline.standings()),
      decisions: from => here().journal.since(from),
      seconds: from => here().pulse.counts(from),
      named: principal => serving?.pipeline.named(principal),
      look: async id => serving?.jit.look(id),
      recall: order => shares?.recall(order) ?? 0,
      async stop({ hurry }) {
        await serving?.drain([], hurry)
        clearInterval(telling)
        await closing.close()
        setImmediate(needs.exit)
      },
    },
    {
      allowed({ url, slots }) {
        shares?.allowed(url, slots)
        serving?.upstreams.places.look()
      },
      keep: ({ url }) => shares?.keep(url),
      elsewhere,
      confirmed: at => policies?.policy.confirmed(at),
    },
  )

  wire.tell('up')

  function here(): Serving<HandedPolicies> {
    if (!serving) throw new Error('the worker has not begun')
    return serving
  }

  async function begin(order: Beginning): Promise<number> {
    workers = order.workers
    const config = ownConfig(order.config, number, workers, workerLog)
    shares = createShareHolder({
      slots: order.slots,
      seek: urls => wire.ask('seek', urls),
      rest: urls => wire.tell('rest', urls),
      gave: (url, slots) => wire.tell('gave', { url, slots }),
    })
    policies = policiesOf(config)
    for (const handed of [order.policy, order.candidate]) if (handed) hold(handed)
    if (order.confirmedAt !== undefined) policies.policy.confirmed(order.confirmedAt)
    const opened = await openServing<HandedPolicies>({
      config,
      log,
      stateFolder: order.stateFolder,
      labels: { worker: String(number) },
      attemptsOf,
      namedElsewhere: async principal => (await wire.ask('named', principal)) as readonly NamedLimits[],
      // A primary that does not answer is gone, and this worker with it.
      echo: id => wire.ask('changed', id).catch(() => {}),
      openPolicies: () => policies as HandedPolicies,
      shares,
      sharesAddress: true,
      queuedElsewhere: pool => queued.get(pool) ?? 0,
      now,
      steady,
      random,
      closing,
    })
    serving = opened
    opened.upstreams.configure(config.pools)
    if (latest) opened.configure(latest)
    await opened.jit.open()
    const port = await opened.listen(order.port)
    const revision = policies.policy.current()?.id ?? null
    void opened.record('gateway.started', { version: VERSION, revision, worker: number }).catch(() => {})
    telling = setInterval(tellLoad, TELL_EVERY_MS).unref()
    tellLoad()
    return port
  }

  function policiesOf(config: GatewayConfig): HandedPolicies {
    const holder = (): HandedHolder =>
      closing.add(
        createHandedHolder({
          ...engineNeeds(config),
          entrypoint: config.policy.entrypoint,
          after: (ms, work) => void setTimeout(work, ms).unref(),
        }),
      )
    return { policy: holder(), candidate: config.policy.candidate && holder() }
  }

  function hold({ role, confirmedAt, ...handed }: HandedPolicy): void {
    policies?.[role]?.hold(handed, confirmedAt)
  }

  /** Counted by the primary, for all of us. */
  function attemptsOf(...[counter, limit, windowMs]: Parameters<AttemptsOf>): FailedAttempts {
    const ask = (group: string, counts: boolean): Promise<number | undefined> =>
      wire.ask('attempt', { counter, limit, windowMs, group, counts })
    return { count: group => ask(group, true), wait: group => ask(group, false) }
  }

  function tellLoad(): void {
    const { upstreams, readiness } = here()
    const { pools, places } = upstreams
    const { audit, targets, store } = readiness().checks
    const load = {
      inFlight: Object.fromEntries(
        pools
          .all()
          .flatMap(({ targets }) => targets.map(({ state }) => [state.url, state.inFlight] as const)),
      ),
      queued: Object.fromEntries(pools.all().map(({ name }) => [name, places.queued(name)])),
      checks: { audit, targets, store },
    }
    // Who asked while another did may have left the last word to nobody.
    if (Object.values(load.queued).every(count => count === 0))
      shares?.rest(pools.all().flatMap(({ targets }) => targets))
    const text = JSON.stringify(load)
    if (text !== toldLast) wire.tell('load', load)
    toldLast = text
  }

  function elsewhere(load: Load): void {
    for (const { targets } of serving?.upstreams.pools.all() ?? [])
      for (const { state } of targets) state.elsewhere = load.inFlight[state.url] ?? 0
    queued.clear()
    for (const [pool, count] of Object.entries(load.queued)) queued.set(pool, count)
  }
}
