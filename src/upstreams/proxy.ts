/**
 * Proxy: sends one request to one target. The one door of `http-proxy-middleware`.
 *
 * The middleware is given a stand-in for the request that shows just what is to go upstream:
 * nothing of the caller's own request can slip past the allow-list, and no hook is needed (one
 * on `proxyReq` is skipped by `Expect: 100-continue`). It is told to leave the answer to us.
 */
import http from 'node:http'
import https from 'node:https'
import { createProxyMiddleware } from 'http-proxy-middleware'
import type { Answer, AnswerReader, Carrier, UpstreamCall, UpstreamEvents, UpstreamRequest } from './call.ts'

const AGENT_OPTIONS: http.AgentOptions = {
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: 256,
  scheduling: 'lifo',
}

export function createProxy(): Carrier {
  const agents = { 'http:': new http.Agent(AGENT_OPTIONS), 'https:': new https.Agent(AGENT_OPTIONS) }
  const middlewares = new Map<string, Middleware>()

  function middlewareFor(origin: URL): Middleware {
    const known = middlewares.get(origin.href)
    if (known) return known
    const middleware = createProxyMiddleware({
      target: origin,
      agent: agents[origin.protocol as 'http:' | 'https:'],
      prependPath: false,
      toProxy: true,
      selfHandleResponse: true,
      // Its own plugins listen on the caller's sockets and answer errors themselves.
      ejectPlugins: true,
      plugins: [
        server => {
          server.on('proxyRes', (answer, request) => (request as unknown as Call).answered(answer))
          server.on('error', (error, request) => (request as unknown as Call).failed(error))
        },
      ],
    }) as unknown as Middleware
    middlewares.set(origin.href, middleware)
    return middleware
  }

  return {
    send(origin, request, events) {
      const call = new Call(origin, request, events)
      middlewareFor(origin)(call, NO_RESPONSE, fault => call.failed(asError(fault)))
      return call
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}

/** The middleware, as it is called here: with stand-ins. */
type Middleware = (request: Call, response: typeof NO_RESPONSE, next: (fault?: unknown) => void) => void

/** The middleware asks of a response only whether it is over; the answer is relayed elsewhere. */
const NO_RESPONSE = { headersSent: false, finished: false }
/** Of the caller's socket it asks whether it is gone; that is watched elsewhere. */
const NO_SOCKET = { destroyed: false }

/** Shows the middleware a request, and takes what comes of it. */
class Call implements UpstreamCall {
  readonly socket = NO_SOCKET
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly url: string
  #upstream: http.ClientRequest | undefined
  #over = false

  constructor(
    origin: URL,
    private readonly request: UpstreamRequest,
    private readonly events: UpstreamEvents,
  ) {
    this.method = request.method
    this.headers = request.headers
    this.url = origin.pathname.replace(/\/+$/, '') + request.target
  }

  /** Listeners on the caller's request are none of the middleware's business. */
  on(): this {
    return this
  }

  /** Where the middleware would send the caller's body, these bytes go instead. */
  pipe(upstream: http.ClientRequest): void {
    this.#upstream = upstream
    // The middleware mends paths by its own lights; the path that was decided is the one that is sent.
    upstream.path = this.url
    if (this.#over) {
      upstream.destroy()
      return
    }
    upstream.once('socket', socket => {
      if (socket.connecting) socket.once('connect', () => this.events.onConnected())
      else this.events.onConnected()
    })
    upstream.end(this.request.body)
  }

  answered(answer: http.IncomingMessage): void {
    if (this.#over) answer.destroy()
    else this.events.onAnswer(answerOf(answer))
  }

  failed(error: NodeJS.ErrnoException): void {
    if (this.#over) return
    this.#over = true
    this.events.onError(error, this.#upstream?.reusedSocket ?? false)
  }

  abort(): void {
    this.#over = true
    this.#upstream?.destroy()
  }
}

function answerOf(answer: http.IncomingMessage): Answer {
  return {
    status: answer.statusCode ?? 0,
    rawHeaders: answer.rawHeaders,
    header: name => {
      const value = answer.headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    read: reader => read(answer, reader),
    pause: () => void answer.pause(),
    resume: () => void answer.resume(),
  }
}

function read(answer: http.IncomingMessage, reader: AnswerReader): void {
  let over = false
  const end = (): void => {
    if (over) return
    over = true
    if (answer.complete) reader.onEnd()
    else reader.onBroken()
  }
  answer.on('data', (part: Buffer) => reader.onPart(part))
  answer.once('end', end)
  answer.once('error', end)
  answer.once('close', end)
}

function asError(fault: unknown): Error {
  return fault instanceof Error ? fault : new Error(`the proxy passed the request by: ${String(fault)}`)
}
