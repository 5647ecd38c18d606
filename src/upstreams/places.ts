/**
 * Places: a slot at a target, taken for one request and given back when it ends. Where all slots of a
 * pool are taken a request waits for one, bounded in number and time.
 */
import { GatewayError } from '../contract/errors.ts'
import { type AbortSignalLike, ClientLeft } from './client-left.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import type { Pool, Pools, Wish } from './pools.ts'
import type { Target, TargetState } from './target.ts'
import { createWaitingLine, type WaitingLine } from './waiting-line.ts'

export interface Place {
  readonly target: Target
  readonly pool: Pool
  /** Gives it back, once. */
  leave(): void
}

export interface Places {
  /** @returns A place that is free now; undefined when there is none. */
  takeNow(pool: Pool, wish: Wish): Place | undefined
  /**
   * Waits for one where all are taken.
   * @returns undefined when no target is left that the request could go to.
   * @throws GatewayError `overloaded`. @throws ClientLeft
   */
  take(pool: Pool, wish: PatientWish): Promise<Place | undefined>
  queued(pool: string): number
  /** Slots may be free that were not: a config or a reading changed. */
  look(): void
}

export interface PatientWish extends Wish {
  readonly principal: string
  readonly priority: number
  /** When the whole request must be over, on the clock of the deadlines. */
  readonly totalBy: number
  readonly left: AbortSignalLike
}

/** Slots that are dealt out to several who send to the same targets: what is here may be had elsewhere, too. */
export interface Shares {
  /** These are the pools there are now. */
  follow(pools: readonly Pool[]): void
  /** Asks for more slots at these targets. @returns When the others have given what they can spare now. */
  seek(targets: readonly Target[]): Promise<void>
  /** Nobody here waits for one of these any more. */
  rest(targets: readonly Target[]): void
  /** A request has left. @param wanted - Somebody here waits for its slot. */
  left(state: TargetState, wanted: boolean): void
}

export interface PlacesNeeds {
  readonly pools: Pick<Pools, 'pick' | 'named'>
  readonly deadlines: Deadlines
  /** Milliseconds on the clock of the deadlines. */
  now(): number
  /** Undefined: all slots are here. */
  readonly shares?: Shares
}

interface Waiting extends PatientWish {
  /** The target whose cache may hold the beginning of its conversation. */
  readonly home: TargetState | undefined
  /** How often another one was served first that stood behind it. */
  passed: number
  settle(end: { place?: Place; error?: Error }): void
}

/** Targets come back without telling; who waits looks for them this often. */
const LOOK_EVERY_MS = 100
/** Who waits for a slot at home may pass those before him: so many are looked at, and none is passed more often. */
const LOOKED_AT = 32
const MOST_PASSED = 8
/** An estimate of the wait is believed after so many departures, and refuses at so many times the patience. */
const BELIEVED_AFTER = 8
const HOPELESS = 2
const LONGEST_RETRY_AFTER_S = 60

export function createPlaces({ pools, deadlines, now, shares }: PlacesNeeds): Places {
  const queues = new Map<string, Queue>()

  /** Who waits for a pool, whatever config it waited under. */
  interface Queue {
    readonly line: WaitingLine<Waiting>
    readonly pace: Pace
    pool: Pool
    readonly watched: Watched
  }

  function queueOf(pool: Pool): Queue {
    const known = queues.get(pool.name)
    if (known) return known
    const queue: Queue = {
      pool,
      line: createWaitingLine(() => queue.pool.queue.max),
      pace: createPace(),
      watched: {
        dueAt: 0,
        onDue(at) {
          serve(queue)
          if (queue.line.size() === 0) return
          void shares?.seek(queue.pool.targets)
          queue.watched.dueAt = at + LOOK_EVERY_MS
          deadlines.watch(queue.watched)
        },
      },
    }
    queues.set(pool.name, queue)
    return queue
  }

  function enter(target: Target, pool: Pool): Place {
    const { state } = target
    const trial = state.openUntil > 0
    state.inFlight++
    if (trial) state.onTrial = true
    let left = false
    return {
      target,
      pool,
      leave() {
        if (left) return
        left = true
        state.inFlight--
        if (trial) state.onTrial = false
        shares?.left(state, isAwaited(state))
        freed(target)
      },
    }
  }

  const awaits = ({ line, pool }: Queue, state: TargetState): boolean =>
    line.size() > 0 && pool.targets.some(target => target.state === state)

  function isAwaited(state: TargetState): boolean {
    for (const queue of queues.values()) if (awaits(queue, state)) return true
    return false
  }

  function freed({ state }: Target): void {
    for (const queue of queues.values()) {
      if (!awaits(queue, state)) continue
      queue.pace.departed(now())
      serveAtHome(queue, state)
      serve(queue)
    }
  }

  /** A slot is worth most to a conversation that was there before. */
  function serveAtHome(queue: Queue, home: TargetState): void {
    const [first, ...others] = queue.line.next(LOOKED_AT)
    if (first?.home === undefined || first.home === home || first.passed >= MOST_PASSED) return
    const waiting = others.find(other => other.home === home)
    if (!waiting) return
    const target = pools.pick(queue.pool, waiting)
    if (target === undefined || target === 'busy' || target.state !== home) return
    first.passed++
    queue.line.serve(waiting)
    waiting.settle({ place: enter(target, queue.pool) })
  }

  /** Gives what is free to those who wait, in their order. */
  function serve(queue: Queue): void {
    queue.pool = pools.named(queue.pool.name) ?? queue.pool
    for (let served = true; served; ) {
      served = false
      for (const waiting of queue.line.heads()) {
        const target = pools.pick(queue.pool, waiting)
        if (target === 'busy') {
          // Only who was refused somewhere may still find a place where the first one did not.
          if (waiting.tried.size === 0) break
          continue
        }
        queue.line.serve(waiting)
        waiting.settle(target ? { place: enter(target, queue.pool) } : {})
        served = true
        break
      }
    }
    if (queue.line.size() === 0) queue.pace.rest()
  }

  function wait(pool: Pool, wish: PatientWish): Promise<Place | undefined> {
    const queue = queueOf(pool)
    queue.pool = pools.named(pool.name) ?? pool
    const patience = Math.min(queue.pool.queue.timeoutMs, wish.totalBy - now())
    const expected = queue.pace.expected(queue.line.ahead(wish) + 1)
    if (expected > HOPELESS * patience)
      return Promise.reject(overloaded(queue, 'could not be served in time'))
    return new Promise((resolve, reject) => {
      const watched: Watched = {
        dueAt: now() + patience,
        onDue: () => waiting.settle({ error: overloaded(queue, 'waited too long') }),
      }
      const { key } = wish
      const waiting: Waiting = {
        ...wish,
        home: key === undefined ? undefined : queue.pool.balance.home?.(queue.pool.targets, key)?.state,
        passed: 0,
        settle({ place, error }) {
          queue.line.leave(waiting)
          if (queue.line.size() === 0) shares?.rest(queue.pool.targets)
          deadlines.forget(watched)
          wish.left.onAbort = undefined
          if (error) reject(error)
          else resolve(place)
        },
      }
      const leaver = queue.line.join(waiting)
      if (leaver !== waiting) {
        wish.left.onAbort = () => waiting.settle({ error: new ClientLeft() })
        deadlines.watch(watched)
        queue.watched.dueAt = now() + LOOK_EVERY_MS
        deadlines.watch(queue.watched)
      }
      leaver?.settle({ error: overloaded(queue, 'the queue is full') })
    })
  }

  function overloaded({ pool, line, pace }: Queue, why: string): GatewayError {
    const seconds = Math.ceil(pace.expected(line.size() + 1) / 1000)
    return new GatewayError('overloaded', `pool ${pool.name}: ${why}, ${line.size()} waiting`, {
      retryAfterSeconds: Math.min(LONGEST_RETRY_AFTER_S, Math.max(1, seconds)),
    })
  }

  function takeNow(pool: Pool, wish: Wish): Place | undefined {
    if ((queues.get(pool.name)?.line.size() ?? 0) > 0) return undefined
    const target = pools.pick(pool, wish)
    return target === undefined || target === 'busy' ? undefined : enter(target, pool)
  }

  return {
    takeNow,
    async take(pool, wish) {
      if (wish.left.aborted) throw new ClientLeft()
      let target = pools.pick(pool, wish)
      if (target === 'busy' && shares) {
        await shares.seek(pool.targets)
        if (wish.left.aborted) throw new ClientLeft()
        target = pools.pick(pool, wish)
      }
      if (target === undefined) return undefined
      // Who comes later does not pass those who wait, but for a target that only it could use.
      const first = (queues.get(pool.name)?.line.size() ?? 0) === 0
      if (target !== 'busy' && first) {
        shares?.rest(pool.targets)
        return enter(target, pool)
      }
      const place = wait(pool, wish)
      serve(queueOf(pool))
      return place
    },
    queued: name => queues.get(name)?.line.size() ?? 0,
    look() {
      for (const queue of queues.values()) if (queue.line.size() > 0) serve(queue)
    },
  }
}

interface Pace {
  departed(at: number): void
  /** Nobody waits: the next departure says nothing about how long one waits. */
  rest(): void
  /** @returns How long so many departures take, ms; 0 while that is not known. */
  expected(departures: number): number
}

/** How fast places come free while somebody waits: a moving average of the time between two. */
function createPace(): Pace {
  let last: number | undefined
  let average = 0
  let seen = 0
  return {
    departed(at) {
      if (last !== undefined) {
        average += (at - last - average) / Math.min(++seen, 2 * BELIEVED_AFTER)
      }
      last = at
    },
    rest() {
      last = undefined
    },
    expected: departures => (seen < BELIEVED_AFTER ? 0 : departures * average),
  }
}
