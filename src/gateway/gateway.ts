/**
 * The composition root: builds what exists, in the order it starts, and closes it in reverse.
 */
import path from 'node:path'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Status } from '../contract/seen.ts'
import { createFailedAttempts } from '../identity/attempts.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { VERSION } from '../version.ts'
import type { Watcher } from '../watcher.ts'
import { openAdmin } from './admin.ts'
import { type Closing, openOrClose } from './closing.ts'
import { closeLeftLogs } from './left-logs.ts'
import { openPolicies } from './policies.ts'
import { nearestEnd } from './seeing.ts'
import { openServing } from './serving.ts'
import { urlOf } from './url.ts'

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
export function createGateway(options: GatewayOptions): Promise<Gateway> {
  return openOrClose(closing => open(options, closing))
}

async function open(options: GatewayOptions, closing: Closing): Promise<Gateway> {
  const { config, log } = options
  const now = options.now ?? Date.now
  const origin = Date.now() - performance.now()
  const stateFolder = path.resolve(options.stateFolder ?? '.sallyport')
  const serving = await openServing({
    config,
    log,
    stateFolder,
    attemptsOf: (_counter, limit, windowMs) => createFailedAttempts(limit, windowMs),
    openPolicies: needs => openPolicies(needs, options.policyShownAs ?? config.policy.path, closing),
    now,
    steady: () => origin + performance.now(),
    random: Math.random,
    closing,
  })
  const { metrics, journal, pulse, jit, record } = serving
  await closeLeftLogs({ config, log, metrics, journal, stateFolder, now, random: Math.random }, 0)
  const { policy, candidate } = serving.policies
  const admin = openAdmin({
    config: config.admin,
    policy,
    now,
    record,
    access: jit.access,
    usage: serving.shared.store.usage,
    ready: serving.readiness,
    status,
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text() }),
    journal,
    live: pulse,
    limits: async () => ({ limits: nearestEnd(await serving.pipeline.standings()) }),
  })

  serving.upstreams.configure(config.pools)
  await Promise.all([policy.reload(), candidate?.reload(), jit.open()])
  const watchers: Watcher[] = []
  const watch = (watcher: Watcher | undefined): void => void (watcher && watchers.push(closing.add(watcher)))
  watch(admin.watchTls(log))
  if (config.policy.watch) {
    watch(policy.watch())
    watch(candidate?.watch())
  }
  const port = await serving.listen()
  const adminPort = await admin.listen()
  void record('gateway.started', { version: VERSION, revision: policy.current()?.id ?? null }).catch(() => {})

  function status(): Status {
    const { candidate, ...own } = serving.status()
    return { ...own, policy: { ...policy.status(), ...(candidate ? { candidate } : {}) } }
  }

  return {
    url: urlOf(config.listen, port),
    adminUrl: urlOf(config.admin, adminPort),
    applyConfig: serving.configure,
    reloadPolicy: policy.reload,
    status,
    async stop({ hurry = false } = {}) {
      await serving.drain(watchers, hurry)
      await admin.close()
      await closing.close()
    },
  }
}
