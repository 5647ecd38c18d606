/**
 * Attempt: sends a request to one target and waits for the head of its answer.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Answer, Carrier, UpstreamCall, UpstreamRequest } from './call.ts'
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
  abort(): void
  leave(): boolean
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
    attemptOnce(target, asked, needs, first => {
      if (!('stale' in first) || !first.stale) return resolve(first)
      needs.carrier.closeIdle(target)
      attemptOnce(target, asked, needs, resolve)
    })
  })
}

type Once = Head | (Failure & { readonly stale: boolean })

/** @param done - Called once. */
function attemptOnce(
  target: Target,
  asked: AttemptRequest,
  { carrier, deadlines, now }: AttemptNeeds,
  done: (once: Once) => void,
): void {
  const { timeouts, totalBy, left } = asked
  let call: UpstreamCall | undefined
  let connected = false
  let readUntil: number | undefined
  const watched: Watched = {
    dueAt: Math.min(totalBy, now() + timeouts.connect),
    onDue(at) {
      call?.abort()
      if (readUntil !== undefined) finish(fault(new ClientLeft()))
      else finish(fault(connected || at >= totalBy ? tooSlow(target) : connectTimeout()))
    },
  }

  function fault(error: NodeJS.ErrnoException, stale = false): Once {
    return { error, connected, stale }
  }

  function finish(attempt: Once): void {
    deadlines.forget(watched)
    left.onAbort = undefined
    done(attempt)
  }

  if (left.aborted) {
    done(fault(new ClientLeft()))
    return
  }
  left.onAbort = () => {
    if (readUntil !== undefined) return
    readUntil = now() + LINGER_MS
    watched.dueAt = readUntil
    if (!call?.leave()) finish(fault(new ClientLeft()))
  }
  deadlines.watch(watched)
  call = carrier.send(target, asked.request, {
    onConnected() {
      connected = true
      watched.dueAt = Math.min(totalBy, now() + timeouts.firstByte)
    },
    onAnswer: answer =>
      finish({ answer, readUntil, abort: () => call?.abort(), leave: () => call?.leave() ?? false }),
    onError(error, reused) {
      if (readUntil !== undefined) finish(fault(new ClientLeft()))
      else finish(fault(error, reused && CLOSED_BEFORE.has(error.code ?? '')))
    },
  })
}

/** What a connection says that was closed while nobody used it. */
const CLOSED_BEFORE = new Set(['ECONNRESET', 'EPIPE'])

function tooSlow(target: Target): GatewayError {
  return new GatewayError('upstream_timeout', `${target.state.url} did not begin to answer in time`)
}

function connectTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection took too long'), { code: 'ETIMEDOUT' })
}
