/**
 * Forward: brings a request to a target that answers it, and waits for the head of the answer.
 *
 * A target that did not process it is passed over for the next one, while nothing was sent to the
 * client, and never asked a second time; the pools that the policy names are asked in turn.
 */
import { GatewayError } from '../contract/errors.ts'
import { type Attempt, type AttemptNeeds, attemptOn, type Failure, type Head } from './attempt.ts'
import { type Answer, discard, type UpstreamRequest } from './call.ts'
import { type AbortSignalLike, ClientLeft } from './client-left.ts'
import { countFirstByte } from './condition.ts'
import type { PatientWish, Place, Places } from './places.ts'
import type { Pool, Pools } from './pools.ts'
import { retryAfterMs } from './retry-after.ts'
import type { Target, TargetState } from './target.ts'

export interface Answered {
  readonly head: Head
  readonly target: Target
  readonly pool: Pool
}

export interface ForwardNeeds extends AttemptNeeds {
  readonly pools: Pick<Pools, 'failed' | 'answered' | 'rests'>
  readonly places: Pick<Places, 'take' | 'takeNow'>
  /** Tells of a request that is sent to another target, and why. */
  retried(pool: string, why: 'connection' | 'status'): void
}

export interface ForwardRequest {
  /** In the order in which they are asked. */
  readonly pools: readonly Pool[]
  readonly principal: string
  readonly priority: number
  /** After the policy's rewrite. */
  readonly model: string | null
  /** Of the conversation, where the pool's balance wants one. */
  keyFor(pool: Pool): number | undefined
  /** When the request came, on the clock of the deadlines. */
  readonly began: number
  requestFor(target: Target, pool: Pool): UpstreamRequest
  /** Ends the attempt when the client has left. */
  readonly left: AbortSignalLike
  onPlace(place: Place): void
  /** So many milliseconds went by before there was a slot. */
  onWaited(ms: number): void
}

/** These say that the target did not process the request. */
const NOT_PROCESSED: ReadonlySet<number> = new Set([429, 502, 503])

/** A connection that stood, and broke before a byte of an answer. */
const BROKE_BEFORE_A_BYTE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * @throws GatewayError `upstream_unavailable` when no target could be reached, `upstream_timeout`
 *   when one took the request and did not answer in time, `overloaded` when there was no slot.
 *   @throws ClientLeft
 */
export function forward(request: ForwardRequest, needs: ForwardNeeds): Promise<Answered> {
  return new Forwarding(request, needs).run()
}

class Forwarding {
  readonly #tried = new Set<TargetState>()
  #retriesLeft: number

  constructor(
    private readonly request: ForwardRequest,
    private readonly needs: ForwardNeeds,
  ) {
    this.#retriesLeft = Math.max(...request.pools.map(({ retry }) => retry.attempts))
  }

  async run(): Promise<Answered> {
    const { request, needs } = this
    request.pools[0]?.retries.count()
    // Nearly always there is one, and then nothing is waited for.
    let place = this.#placeAtOnce() ?? (await this.#firstPlace())
    for (;;) {
      const { target, pool } = place
      this.#tried.add(target.state)
      request.onPlace(place)
      const sentAt = needs.now()
      const attempt = await this.#send(place)
      if ('answer' in attempt) {
        const answered = { head: attempt, target, pool }
        if (attempt.readUntil !== undefined) return answered
        const at = needs.now()
        countFirstByte(target.state, at - sentAt, at)
        const another = this.#judged(attempt.answer, place)
        if (!another) return answered
        discard(attempt.answer)
        place.leave()
        needs.retried(pool.name, 'status')
        place = another
      } else {
        place.leave()
        place = await this.#afterFailure(attempt, place)
        needs.retried(pool.name, 'connection')
      }
    }
  }

  #send({ target, pool }: Place): Promise<Attempt> {
    const { request, needs } = this
    const asked = {
      request: request.requestFor(target, pool),
      timeouts: pool.timeouts,
      totalBy: this.#totalBy(pool),
      left: request.left,
    }
    return attemptOn(target, asked, needs)
  }

  #totalBy(pool: Pool): number {
    return this.request.began + pool.timeouts.total
  }

  #wishFor(pool: Pool): PatientWish {
    const { principal, priority, model, left } = this.request
    const key = this.request.keyFor(pool)
    return { tried: this.#tried, principal, priority, model, left, key, totalBy: this.#totalBy(pool) }
  }

  #placeAtOnce(): Place | undefined {
    const [pool] = this.request.left.aborted ? [] : this.request.pools
    return pool && this.needs.places.takeNow(pool, this.#wishFor(pool))
  }

  /** @param last - Why another place is looked for. */
  async #firstPlace(last?: Error): Promise<Place> {
    const { request, needs } = this
    let refused: unknown
    const from = needs.now()
    try {
      for (const pool of request.pools) {
        try {
          const found = await needs.places.take(pool, this.#wishFor(pool))
          if (found) return found
        } catch (error) {
          if (!(error instanceof GatewayError)) throw error
          refused = error
        }
      }
    } finally {
      request.onWaited(needs.now() - from)
    }
    throw refused ?? this.#unavailable(last)
  }

  #unavailable(last: Error | undefined): GatewayError {
    const names = this.request.pools.map(({ name }) => name).join(', ')
    const why = last ? `: ${last.message}` : ''
    return new GatewayError('upstream_unavailable', `no target of ${names} could be reached${why}`, {
      cause: last,
    })
  }

  /** Counts an answer for or against its target. @returns Where to go instead, if the target did not process the request. */
  #judged(answer: Answer, { target, pool }: Place): Place | undefined {
    const { pools } = this.needs
    const { status } = answer
    if (status >= 500 && status !== 501) pools.failed(target, pool, 'failed')
    else pools.answered(target)
    if (!NOT_PROCESSED.has(status)) return undefined
    const restMs = retryAfterMs(answer.header('retry-after'), answer.header('date'))
    if (restMs !== undefined) pools.rests(target, restMs)
    return this.#retriesLeft > 0 ? this.#placeNow(pool) : undefined
  }

  /** A place that is free at once: an answer that is there is not held back for one that may come. */
  #placeNow({ retries, retry }: Pool): Place | undefined {
    for (const pool of this.request.pools) {
      const found = this.needs.places.takeNow(pool, this.#wishFor(pool))
      if (!found) continue
      if (retries.take(retry.budget)) {
        this.#retriesLeft--
        return found
      }
      found.leave()
      return undefined
    }
    return undefined
  }

  /** A connection that never stood costs nobody anything, so it is not counted as a retry. */
  async #afterFailure({ error, connected }: Failure, { target, pool }: Place): Promise<Place> {
    if (error instanceof ClientLeft) throw error
    this.needs.pools.failed(target, pool, error instanceof GatewayError ? 'failed' : 'unreachable')
    if (error instanceof GatewayError) throw error
    if (connected && !this.#mayTryAgain(error, pool)) throw this.#unavailable(error)
    return this.#firstPlace(error)
  }

  #mayTryAgain({ code }: NodeJS.ErrnoException, { retries, retry }: Pool): boolean {
    return BROKE_BEFORE_A_BYTE.has(code ?? '') && this.#retriesLeft-- > 0 && retries.take(retry.budget)
  }
}
