/**
 * Pools: which servers there are, what they are doing, and which is next.
 *
 * How a target is doing is kept by its URL and not by the config, so in-flight counts and
 * ejections survive a reload.
 */
import type { PoolConfig, TargetConfig } from '../contract/config/pools.ts'
import type { PoolFacts } from '../contract/input.schema.ts'
import { parseDuration } from '../contract/units.ts'

export interface Pool {
  readonly name: string
  readonly models: readonly string[]
  readonly targets: readonly Target[]
  readonly forwardHeaders: ReadonlySet<string>
  readonly passErrors: boolean
  readonly timeouts: Timeouts
}

/** Milliseconds. */
export interface Timeouts {
  readonly connect: number
  readonly firstByte: number
  readonly idle: number
  readonly total: number
}

export interface Target {
  readonly url: URL
  readonly weight: number
  readonly headers: Readonly<Record<string, string>>
  readonly state: TargetState
}

/** Belongs to a URL and outlives every config. */
export interface TargetState {
  /** As configured, without a trailing slash. */
  readonly url: string
  inFlight: number
  /** Connections that failed one after the other. */
  failures: number
  /** Passed over until then. */
  ejectedUntil: number
}

export interface Pools {
  /** Puts a new config in force; targets that stay keep their state. */
  configure(config: Readonly<Record<string, PoolConfig>>): void
  named(name: string): Pool | undefined
  /** The first pool, in the order of the config, whose models hold this one. */
  serving(model: string): Pool | undefined
  all(): readonly Pool[]
  models(): readonly string[]
  facts(): Record<string, PoolFacts>
  /** The target with least in flight, by weight, among those not tried yet and not ejected. */
  pick(pool: Pool, tried: ReadonlySet<Target>): Target | undefined
  /** Whether some target takes connections, as far as is known. */
  standing(pool: Pool): boolean
  /** The target did not take a connection: it is passed over for a while, longer each time. */
  failed(target: Target): void
  answered(target: Target): void
}

const FIRST_EJECTION_MS = 1000
const LONGEST_EJECTION_MS = 30_000

export interface PoolsNeeds {
  /** Milliseconds on a clock that does not go back. */
  now(): number
  onChange(pool: string, target: string, up: boolean): void
}

export function createPools({ now, onChange }: PoolsNeeds): Pools {
  const states = new Map<string, TargetState>()
  let pools: readonly Pool[] = []
  let models: readonly string[] = []
  let turn = 0

  function stateOf(url: string): TargetState {
    const known = states.get(url)
    if (known) return known
    const state = { url, inFlight: 0, failures: 0, ejectedUntil: 0 }
    states.set(url, state)
    return state
  }

  function built(name: string, config: PoolConfig): Pool {
    const { connect, firstByte, idle, total } = config.timeouts
    return {
      name,
      models: config.models,
      targets: config.targets.map(target => builtTarget(target, stateOf(target.url.replace(/\/+$/, '')))),
      forwardHeaders: new Set(config.forwardHeaders.map(header => header.toLowerCase())),
      passErrors: config.upstreamErrors === 'pass',
      timeouts: {
        connect: parseDuration(connect),
        firstByte: parseDuration(firstByte),
        idle: parseDuration(idle),
        total: parseDuration(total),
      },
    }
  }

  function configure(config: Readonly<Record<string, PoolConfig>>): void {
    pools = Object.entries(config).map(([name, pool]) => built(name, pool))
    models = [...new Set(pools.flatMap(pool => pool.models))]
    const kept = new Set(pools.flatMap(pool => pool.targets.map(target => target.state.url)))
    for (const [url, state] of states) if (!kept.has(url) && state.inFlight === 0) states.delete(url)
    for (const pool of pools)
      for (const { state } of pool.targets) onChange(pool.name, state.url, state.failures === 0)
  }

  function tell({ state }: Target, up: boolean): void {
    for (const pool of pools) {
      if (pool.targets.some(target => target.state === state)) onChange(pool.name, state.url, up)
    }
  }

  return {
    configure,
    named: name => pools.find(pool => pool.name === name),
    serving: model => pools.find(pool => pool.models.includes(model)),
    all: () => pools,
    models: () => models,
    facts: () => Object.fromEntries(pools.map(pool => [pool.name, factsOf(pool, now())])),
    standing: pool => pool.targets.some(target => target.state.ejectedUntil <= now()),
    pick(pool, tried) {
      const at = now()
      const untried = pool.targets.filter(target => !tried.has(target))
      const standing = untried.filter(target => target.state.ejectedUntil <= at)
      // When all are ejected, asking one of them beats refusing everybody.
      return leastLoaded(standing.length > 0 ? standing : untried, turn++)
    },
    failed(target) {
      const { state } = target
      state.failures++
      state.ejectedUntil =
        now() + Math.min(LONGEST_EJECTION_MS, FIRST_EJECTION_MS * 2 ** (state.failures - 1))
      if (state.failures === 1) tell(target, false)
    },
    answered(target) {
      const { state } = target
      if (state.failures === 0) return
      state.failures = 0
      state.ejectedUntil = 0
      tell(target, true)
    },
  }
}

function builtTarget(config: TargetConfig, state: TargetState): Target {
  const credential = config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` }
  const own = Object.fromEntries(
    Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return { url: new URL(config.url), weight: config.weight, headers: { ...credential, ...own }, state }
}

/** @param turn - Where to begin, so that targets that are alike take turns. */
function leastLoaded(targets: readonly Target[], turn: number): Target | undefined {
  let best: Target | undefined
  for (let index = 0; index < targets.length; index++) {
    const target = targets[(turn + index) % targets.length] as Target
    if (!best || target.state.inFlight / target.weight < best.state.inFlight / best.weight) best = target
  }
  return best
}

function factsOf({ models, targets }: Pool, now: number): PoolFacts {
  return {
    models,
    healthy: targets.filter(({ state }) => state.failures === 0 || state.ejectedUntil <= now).length,
    targets: targets.length,
    in_flight: targets.reduce((sum, { state }) => sum + state.inFlight, 0),
    queued: 0,
  }
}
