/**
 * Attempt: sends a request to one target and waits for the head of its answer.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Answer, Carrier, UpstreamCall, UpstreamEvents, UpstreamRequest } from './call.ts'
import { type AbortSignalLike, ClientLeft } from './client-left.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import { LINGER_MS } from './linger.ts'
import type { Timeouts } from './pools.ts'
import type { Target } from './target.ts'

export interface AttemptNeeds {
  readonly carrier: Carrier
  readonly deadlines: Deadlines
  /** Milliseconds on the clock of the deadlines. */
  now(): number
}

export interface AttemptRequest {
  readonly request: UpstreamRequest
  readonly timeouts: Timeouts
  /** When the whole call must be over. */
  readonly totalBy: number
  /** Ends the attempt when the client has left. */
  readonly left: AbortSignalLike
}

export type Attempt = Head | Failure

export interface Head {
  readonly answer: Answer
  /** Nobody waits for it any more: it is only read, to be counted, and until then at the latest. */
  readonly readUntil: number | undefined
  readonly call: UpstreamCall
}

export interface Failure {
  /** A GatewayError or ClientLeft ends the request; anything else is the connection's own. */
  readonly error: NodeJS.ErrnoException
  /** A connection stood, so the target may have seen the request. */
  readonly connected: boolean
}

/**
 * A kept connection that the server had closed meanwhile says nothing about the request or the
 * server: it is sent once more, over a new one.
 */
export function attemptOn(target: Target, asked: AttemptRequest, needs: AttemptNeeds): Promise<Attempt> {
  return new Promise(resolve => {
    new Sending(target, asked, needs, first => {
      if (!('stale' in first) || !first.stale) return resolve(first)
      needs.carrier.closeIdle(target)
      new Sending(target, asked, needs, resolve).begin()
    }).begin()
  })
}

type Once = Head | (Failure & { readonly stale: boolean })

/** A request that was sent, until its answer has begun. */
class Sending implements Watched, UpstreamEvents {
  seat: number | undefined = undefined
  dueAt: number
  #readUntil: number | undefined = undefined
  #call: UpstreamCall | undefined = undefined
  #connected = false

  /** @param done - Called once. */
  constructor(
    private readonly target: Target,
    private readonly asked: AttemptRequest,
    private readonly needs: AttemptNeeds,
    private readonly done: (once: Once) => void,
  ) {
    this.dueAt = Math.min(asked.totalBy, needs.now() + asked.timeouts.connect)
  }

  begin(): void {
    const { left, request } = this.asked
    if (left.aborted) {
      this.done(this.#fault(new ClientLeft()))
      return
    }
    left.onAbort = () => this.#clientLeft()
    this.needs.deadlines.watch(this)
    this.#call = this.needs.carrier.send(this.target, request, this)
  }

  onDue(at: number): void {
    const { target, asked } = this
    this.#call?.abort()
    if (this.#readUntil !== undefined) this.#fail(new ClientLeft())
    else this.#fail(this.#connected || at >= asked.totalBy ? tooSlow(target) : connectTimeout())
  }

  onConnected(): void {
    this.#connected = true
    this.dueAt = Math.min(this.asked.totalBy, this.needs.now() + this.asked.timeouts.firstByte)
  }

  onAnswer(answer: Answer): void {
    this.#finish({ answer, readUntil: this.#readUntil, call: this.#call as UpstreamCall })
  }

  onError(error: NodeJS.ErrnoException, reused: boolean): void {
    if (this.#readUntil !== undefined) this.#fail(new ClientLeft())
    else this.#fail(error, reused && CLOSED_BEFORE.has(error.code ?? ''))
  }

  #clientLeft(): void {
    if (this.#readUntil !== undefined) return
    this.#readUntil = this.needs.now() + LINGER_MS
    this.dueAt = this.#readUntil
    if (!this.#call?.leave()) this.#fail(new ClientLeft())
  }

  #fail(error: NodeJS.ErrnoException, stale = false): void {
    this.#finish(this.#fault(error, stale))
  }

  #fault(error: NodeJS.ErrnoException, stale = false): Once {
    return { error, connected: this.#connected, stale }
  }

  #finish(once: Once): void {
    this.needs.deadlines.forget(this)
    this.asked.left.onAbort = undefined
    this.done(once)
  }
}

/** What a connection says that was closed while nobody used it. */
const CLOSED_BEFORE = new Set(['ECONNRESET', 'EPIPE'])

function tooSlow(target: Target): GatewayError {
  return new GatewayError('upstream_timeout', `${target.state.url} did not begin to answer in time`)
}

function connectTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection took too long'), { code: 'ETIMEDOUT' })
}
