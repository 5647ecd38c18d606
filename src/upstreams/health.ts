/**
 * Health: asks the targets at intervals whether they are well, and what they have to do.
 */
import type { Deadlines, Watched } from './deadlines.ts'
import type { HealthSettings, Pool, Pools } from './pools.ts'
import type { Probe } from './probe.ts'
import { readTarget } from './readings/read.ts'
import type { Target, TargetState } from './target.ts'

export interface Health {
  /** Asks the targets that there are now; to be called after each new config. */
  follow(): void
  close(): void
}

export interface HealthNeeds {
  readonly pools: Pick<Pools, 'all' | 'checked'>
  readonly deadlines: Deadlines
  readonly probe: Probe
  /** Milliseconds on the clock of the deadlines. */
  now(): number
  /** At least 0, less than 1. */
  random(): number
  /** Something was learnt that may let somebody in who waits. */
  onNews(): void
}

/** So that many gateways do not ask at the same moment. */
const JITTER = 0.2
/** While it is not settled how a target is, it is asked more often. */
const UNSETTLED_MS = 1000
/** Readings that were missed before the last one is too old. */
const STALE_AFTER = 3
/** Asked where there is no health endpoint: every server of a model has it. */
const EVERY_SERVER_HAS = '/v1/models'

interface Followed {
  target: Target
  settings: HealthSettings
  /** Where it answers; another than the configured one if that is not there. */
  path: string
  readonly watched: Watched
}

export function createHealth({ pools, deadlines, probe, now, random, onNews }: HealthNeeds): Health {
  const followed = new Map<TargetState, Followed>()
  let closed = false

  function follow(): void {
    const found = new Map(pools.all().flatMap(askedIn))
    for (const [state, { watched }] of followed) {
      if (found.has(state)) continue
      deadlines.forget(watched)
      followed.delete(state)
    }
    for (const [state, { target, settings }] of found) {
      const known = followed.get(state)
      if (known) {
        if (known.settings.path !== settings.path) known.path = settings.path
        known.target = target
        known.settings = settings
      } else begin(target, settings)
    }
  }

  function begin(target: Target, settings: HealthSettings): void {
    const one: Followed = {
      target,
      settings,
      path: settings.path,
      watched: { dueAt: 0, onDue: () => void look(one) },
    }
    followed.set(target.state, one)
    void look(one)
  }

  async function look(one: Followed): Promise<void> {
    const { target, settings } = one
    const passed = await isWell(one)
    if (closed || followed.get(target.state) !== one) return
    pools.checked(target.state, passed, settings)
    if (passed && target.kind !== 'openai') await readOne(one)
    onNews()
    if (closed || followed.get(target.state) !== one) return
    const settled = target.state.sound && target.state.contradictions === 0
    const interval = settled ? settings.intervalMs : Math.min(settings.intervalMs, UNSETTLED_MS)
    one.watched.dueAt = now() + interval * (1 - JITTER / 2 + JITTER * random())
    deadlines.watch(one.watched)
  }

  /** Any answer that is no 5xx is one of a server that is there: it may want another credential for this path. */
  async function isWell(one: Followed): Promise<boolean> {
    const { target, settings } = one
    try {
      let { status } = await probe(target, one.path, settings.timeoutMs)
      if (isMissing(status) && one.path !== EVERY_SERVER_HAS) {
        one.path = EVERY_SERVER_HAS
        status = (await probe(target, one.path, settings.timeoutMs)).status
      }
      return status < 500 || isMissing(status)
    } catch {
      return false
    }
  }

  async function readOne({ target, settings }: Followed): Promise<void> {
    const ask = async (path: string): Promise<string | undefined> => {
      const { status, text } = await probe(target, path, settings.timeoutMs)
      return status === 200 ? text : undefined
    }
    try {
      const told = await readTarget(target.kind, ask)
      if (!told) return
      const { busy, ...facts } = told
      target.state.reading = {
        ...facts,
        foreign: Math.max(0, busy - target.state.inFlight - target.state.elsewhere),
        staleAt: now() + STALE_AFTER * settings.intervalMs,
      }
    } catch {
      // What was read last is believed until it is stale.
    }
  }

  return {
    follow,
    close() {
      closed = true
      for (const { watched } of followed.values()) deadlines.forget(watched)
    },
  }
}

/** Where several pools ask one target, the first one says how. */
function askedIn({ targets, health }: Pool): [TargetState, { target: Target; settings: HealthSettings }][] {
  return health ? targets.map(target => [target.state, { target, settings: health }]) : []
}

function isMissing(status: number): boolean {
  return status === 404 || status === 405 || status === 501
}
