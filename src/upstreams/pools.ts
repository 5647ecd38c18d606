/**
 * Pools: which servers there are, what they are doing, and which is next.
 *
 * How a target is doing is kept by its URL, and who waits by the pool's name, so that both survive a
 * reload of the config.
 */
import type { PoolConfig, TargetTlsConfig } from '../contract/config/pools.ts'
import type { PoolFacts } from '../contract/input.schema.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import { type Balance, createBalance } from './balance/balance.ts'
import {
  type BreakerSettings,
  type CheckThresholds,
  countAnswer,
  countCheck,
  countFailure,
  type FailureKind,
  isOpen,
  isStanding,
  letRest,
} from './condition.ts'
import { rankOf } from './rank.ts'
import { createRetryBudget, type RetryBudget } from './retry-budget.ts'
import {
  builtTarget,
  hasSlot,
  newState,
  shownUrl,
  type Target,
  type TargetState,
  type TargetTls,
} from './target.ts'

export interface Pool {
  readonly name: string
  readonly models: readonly string[]
  readonly targets: readonly Target[]
  readonly balance: Balance
  /** How much of a conversation's beginning counts; undefined where it does not matter. */
  readonly prefixCharacters: number | undefined
  readonly forwardHeaders: ReadonlySet<string>
  readonly passErrors: boolean
  /** Undefined: targets are not asked. */
  readonly health: HealthSettings | undefined
  readonly timeouts: Timeouts
  readonly retry: { readonly attempts: number; readonly budget: number }
  readonly breaker: BreakerSettings
  readonly queue: { readonly max: number; readonly timeoutMs: number }
  readonly answer: AnswerCaps
  /** By name, and so older than this config. */
  readonly retries: RetryBudget
}

/** Milliseconds. */
export interface Timeouts {
  readonly connect: number
  readonly firstByte: number
  readonly idle: number
  readonly total: number
}

/** Bytes and milliseconds; Infinity where there is no cap. */
export interface AnswerCaps {
  readonly maxBytes: number
  readonly maxMs: number
}

export interface HealthSettings extends CheckThresholds {
  readonly path: string
  readonly intervalMs: number
  readonly timeoutMs: number
}

export interface Wish {
  /** Not to be asked again. */
  readonly tried: ReadonlySet<TargetState>
  /** After the policy's rewrite. */
  readonly model: string | null
  readonly key: number | undefined
}

export interface Pools {
  /** Puts a new config in force; targets that stay keep their state. @throws Error when a file of a target's TLS is no good; then nothing changes. */
  configure(config: Readonly<Record<string, PoolConfig>>): void
  named(name: string): Pool | undefined
  /** The first pool, in the order of the config, whose models hold this one. */
  serving(model: string): Pool | undefined
  all(): readonly Pool[]
  models(): readonly string[]
  facts(): Record<string, PoolFacts>
  /** The next target for a request; `busy` when all that could take it have no slot free, undefined when there is none. */
  pick(pool: Pool, wish: Wish): Target | 'busy' | undefined
  /** Whether some target takes requests, as far as is known. */
  standing(pool: Pool): boolean
  /** Standing, and reached when it was last tried: one that may be tried again is not well for that. */
  healthy(target: Target): boolean
  failed(target: Target, pool: Pool, kind: FailureKind): void
  answered(target: Target): void
  /** It answered that it has too much to do. */
  rests(target: Target, forMs: number): void
  checked(state: TargetState, passed: boolean, thresholds: CheckThresholds): void
}

export interface PoolsNeeds {
  /** Milliseconds on a clock that does not go back. */
  now(): number
  /** At least 0, less than 1. */
  random(): number
  /** How many wait for a pool. */
  queued(pool: string): number
  readTls(files: TargetTlsConfig): TargetTls
}

export function createPools({ now, random, queued, readTls }: PoolsNeeds): Pools {
  const states = new Map<string, TargetState>()
  const budgets = new Map<string, RetryBudget>()
  let pools: readonly Pool[] = []
  let models: readonly string[] = []

  function built(name: string, config: PoolConfig): Pool {
    const { connect, firstByte, idle, total } = config.timeouts
    const { health, answer } = config
    return {
      name,
      models: config.models,
      targets: config.targets.map(target => {
        const url = shownUrl(target.url)
        const state = kept(states, url, () => newState(url))
        return builtTarget(target, state, target.tls && readTls(target.tls))
      }),
      balance: createBalance(config.balance, random),
      prefixCharacters: config.balance === 'prefix' ? config.prefix.characters : undefined,
      forwardHeaders: new Set(config.forwardHeaders.map(header => header.toLowerCase())),
      passErrors: config.upstreamErrors === 'pass',
      health: health
        ? {
            path: health.path,
            intervalMs: parseDuration(health.interval),
            timeoutMs: parseDuration(health.timeout),
            healthyAfter: health.healthyAfter,
            unhealthyAfter: health.unhealthyAfter,
          }
        : undefined,
      timeouts: {
        connect: parseDuration(connect),
        firstByte: parseDuration(firstByte),
        idle: parseDuration(idle),
        total: parseDuration(total),
      },
      retry: config.retry,
      breaker: { failures: config.breaker.failures, openForMs: parseDuration(config.breaker.openFor) },
      queue: { max: config.queue.max, timeoutMs: parseDuration(config.queue.timeout) },
      answer: {
        maxBytes: answer.maxBytes === undefined ? Number.POSITIVE_INFINITY : parseSize(answer.maxBytes),
        maxMs:
          answer.maxDuration === undefined ? Number.POSITIVE_INFINITY : parseDuration(answer.maxDuration),
      },
      retries: kept(budgets, name, () => createRetryBudget(now)),
    }
  }

  function configure(config: Readonly<Record<string, PoolConfig>>): void {
    pools = Object.entries(config).map(([name, pool]) => built(name, pool))
    models = [...new Set(pools.flatMap(pool => pool.models))]
    const named = new Set(pools.flatMap(pool => pool.targets.map(target => target.state)))
    for (const [url, state] of states) if (!named.has(state) && state.inFlight === 0) states.delete(url)
    for (const name of budgets.keys()) if (!Object.hasOwn(config, name)) budgets.delete(name)
  }

  /** Whether, without this target, at least half of each of its pools would still take requests. */
  function spare({ state }: Target, at: number): boolean {
    return pools
      .filter(pool => pool.targets.some(target => target.state === state))
      .every(({ targets }) => {
        const others = targets.filter(target => target.state !== state && isStanding(target.state, at))
        return others.length > 0 && others.length * 2 >= targets.length
      })
  }

  const standingIn = (pool: Pool, at: number): number =>
    pool.targets.reduce((count, { state }) => count + (isStanding(state, at) ? 1 : 0), 0)

  return {
    configure,
    named: name => pools.find(pool => pool.name === name),
    serving: model => pools.find(pool => pool.models.includes(model)),
    all: () => pools,
    models: () => models,
    facts() {
      const at = now()
      return Object.fromEntries(
        pools.map(pool => [
          pool.name,
          {
            models: pool.models,
            healthy: standingIn(pool, at),
            targets: pool.targets.length,
            in_flight: pool.targets.reduce((sum, { state }) => sum + state.inFlight + state.elsewhere, 0),
            queued: queued(pool.name),
          },
        ]),
      )
    },
    standing: pool => standingIn(pool, now()) > 0,
    healthy: ({ state }) => isStanding(state, now()) && !state.unreachable,
    pick(pool, { tried, model, key }) {
      const at = now()
      const [only, another] = pool.targets
      if (only && !another) return pickOnly(only, tried, at)
      const untried = pool.targets.filter(target => !tried.has(target.state))
      const standing = untried.filter(target => isStanding(target.state, at))
      // When none stands, asking one of them beats refusing everybody; but an open breaker is obeyed.
      const able = standing.length > 0 ? standing : untried.filter(target => !isOpen(target.state, at))
      if (able.length === 0) return undefined
      const free = able.filter(target => hasSlot(target, at))
      if (free.length === 0) return 'busy'
      return pool.balance.choose(bestRanked(free, model, at), { now: at, key })
    },
    failed: (target, pool, kind) =>
      countFailure(target.state, kind, pool.breaker, spare(target, now()), now()),
    answered: ({ state }) => countAnswer(state, now()),
    rests: ({ state }, forMs) => letRest(state, forMs, now()),
    checked: (state, passed, thresholds) => countCheck(state, passed, thresholds, now()),
  }
}

/** As if it had been chosen among several. */
function pickOnly(target: Target, tried: ReadonlySet<TargetState>, at: number): Target | 'busy' | undefined {
  const { state } = target
  if (tried.has(state) || (!isStanding(state, at) && isOpen(state, at))) return undefined
  return hasSlot(target, at) ? target : 'busy'
}

/** What is there already, or else is made and kept. */
function kept<T>(all: Map<string, T>, name: string, make: () => T): T {
  const known = all.get(name)
  if (known !== undefined) return known
  const made = make()
  all.set(name, made)
  return made
}

function bestRanked(targets: readonly Target[], model: string | null, now: number): readonly Target[] {
  if (targets.every(({ kind }) => kind === 'openai')) return targets
  const ranks = targets.map(target => rankOf(target, model, now))
  const best = Math.min(...ranks)
  return targets.filter((_, index) => ranks[index] === best)
}
