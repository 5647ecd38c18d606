/**
 * Forward: sends a request to a target of a pool and waits for the head of its answer.
 *
 * A target that cannot be reached is passed over for the next one, while nothing was sent to the
 * client: at most once each, but for a kept connection that the server had closed meanwhile.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Answer, Carrier, UpstreamCall, UpstreamRequest } from './call.ts'
import type { Deadlines, Watched } from './deadlines.ts'
import type { Pool, Pools, Target } from './pools.ts'

export interface Answered {
  readonly target: Target
  readonly answer: Answer
  abort(): void
}

export interface ForwardNeeds {
  readonly carrier: Carrier
  readonly pools: Pick<Pools, 'pick' | 'failed' | 'answered'>
  readonly deadlines: Deadlines
  /** Milliseconds on the clock of the deadlines. */
  now(): number
}

export interface ForwardRequest {
  readonly pool: Pool
  /** Already counted as in flight by `onTarget`, once for each target that is tried. */
  requestFor(target: Target): UpstreamRequest
  /** Ends the attempt when the client has left. */
  readonly left: AbortSignalLike
  onTarget(target: Target): void
}

/** The little of an AbortSignal that is needed, without its cost. */
export interface AbortSignalLike {
  readonly aborted: boolean
  onAbort: (() => void) | undefined
}

/** The client went away before there was an answer. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft'
}

/** The connection never carried the request, or broke before a byte of an answer. */
const NOT_PROCESSED = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
])

/**
 * @throws GatewayError `upstream_unavailable` when no target could be reached, `upstream_timeout`
 *   when one took the request and did not answer in time. @throws ClientLeft
 */
export async function forward(request: ForwardRequest, needs: ForwardNeeds): Promise<Answered> {
  const tried = new Set<Target>()
  let last: unknown
  for (;;) {
    const target = needs.pools.pick(request.pool, tried)
    if (!target) {
      throw new GatewayError('upstream_unavailable', `no target of ${request.pool.name} could be reached`, {
        cause: last,
      })
    }
    tried.add(target)
    request.onTarget(target)
    let attempt = await attemptOn(target, request, needs)
    if ('error' in attempt && attempt.stale) attempt = await attemptOn(target, request, needs)
    if ('answer' in attempt) {
      needs.pools.answered(target)
      return attempt
    }
    if (attempt.error instanceof ClientLeft || attempt.error instanceof GatewayError) throw attempt.error
    needs.pools.failed(target)
    last = attempt.error
    if (!NOT_PROCESSED.has(attempt.error.code ?? '')) {
      throw new GatewayError('upstream_unavailable', `${target.state.url}: ${attempt.error.message}`, {
        cause: last,
      })
    }
  }
}

type Attempt = Answered | { readonly error: NodeJS.ErrnoException; readonly stale: boolean }

function attemptOn(target: Target, request: ForwardRequest, needs: ForwardNeeds): Promise<Attempt> {
  const { timeouts } = request.pool
  return new Promise(resolve => {
    if (request.left.aborted) return resolve({ error: new ClientLeft(), stale: false })
    let call: UpstreamCall | undefined
    let connected = false
    const watched: Watched = {
      dueAt: needs.now() + timeouts.connect,
      onDue: () => {
        call?.abort()
        finish({ error: connected ? tooSlow(target) : connectTimeout(), stale: false })
      },
    }

    function finish(attempt: Attempt): void {
      needs.deadlines.forget(watched)
      request.left.onAbort = undefined
      resolve(attempt)
    }

    request.left.onAbort = () => {
      call?.abort()
      finish({ error: new ClientLeft(), stale: false })
    }
    needs.deadlines.watch(watched)
    call = needs.carrier.send(target.url, request.requestFor(target), {
      onConnected() {
        connected = true
        watched.dueAt = needs.now() + timeouts.firstByte
      },
      onAnswer: answer => finish({ target, answer, abort: () => call?.abort() }),
      onError: (error, reused) => finish({ error, stale: reused && error.code === 'ECONNRESET' }),
    })
  })
}

function tooSlow(target: Target): GatewayError {
  return new GatewayError('upstream_timeout', `${target.state.url} did not begin to answer in time`)
}

function connectTimeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection took too long'), { code: 'ETIMEDOUT' })
}
