/**
 * Proxy: sends one request to one target. The one door of `http-proxy-middleware`.
 *
 * The middleware is given a stand-in for the request that shows just what is to go upstream:
 * nothing of the caller's own request can slip past the allow-list, and no hook is needed (one
 * on `proxyReq` is skipped by `Expect: 100-continue`). It is told to leave the answer to us.
 */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createProxyMiddleware } from 'http-proxy-middleware'
import type { Answer, AnswerReader, Carrier, UpstreamCall, UpstreamEvents, UpstreamRequest } from './call.ts'
import { OLDEST_CONNECTION_MS, type Origin, originKey, tlsOptions } from './origin.ts'

const AGENT_OPTIONS: http.AgentOptions = {
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: 256,
  scheduling: 'lifo',
}

/** One origin: its connections, and the middleware that uses them. */
interface Line {
  readonly agent: http.Agent
  readonly middleware: Middleware
}

/** @param now - Milliseconds on a clock that does not go back. */
export function createProxy(now: () => number): Carrier {
  const lines = new Map<string, Line>()

  function lineTo(origin: Origin): Line {
    const key = originKey(origin)
    const known = lines.get(key)
    if (known) return known
    const agent = agentFor(origin, now)
    const line = { agent, middleware: middlewareFor(origin.url, agent) }
    lines.set(key, line)
    return line
  }

  return {
    send(origin, request, events) {
      const call = new Call(origin.url, request, events)
      lineTo(origin).middleware(call, NO_RESPONSE, fault => call.failed(asError(fault)))
      return call
    },
    closeIdle(origin) {
      closeIdleOf(lines.get(originKey(origin)))
    },
    keep(origins) {
      const kept = new Set(origins.map(originKey))
      for (const [key, line] of lines) {
        if (kept.has(key)) continue
        lines.delete(key)
        closeIdleOf(line)
      }
    },
    close() {
      for (const { agent } of lines.values()) agent.destroy()
    },
  }
}

function closeIdleOf(line: Line | undefined): void {
  for (const sockets of Object.values(line?.agent.freeSockets ?? {}))
    for (const socket of sockets ?? []) socket.destroy()
}

function agentFor({ url, tls }: Origin, now: () => number): http.Agent {
  const agent =
    url.protocol === 'https:'
      ? new https.Agent({ ...AGENT_OPTIONS, ...tlsOptions(tls) })
      : new http.Agent(AGENT_OPTIONS)
  const since = new WeakMap<Duplex, number>()
  const keep = agent.keepSocketAlive.bind(agent)
  agent.keepSocketAlive = socket => {
    const opened = since.get(socket) ?? now()
    since.set(socket, opened)
    return now() - opened < OLDEST_CONNECTION_MS && keep(socket)
  }
  return agent
}

function middlewareFor(target: URL, agent: http.Agent): Middleware {
  return createProxyMiddleware({
    target,
    agent,
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
    upstream.once('socket', (socket: Socket) => {
      if (!socket.connecting) this.events.onConnected()
      // Over TLS nothing is sent before the handshake.
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.events.onConnected())
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

  /** What has no body makes no model generate: nothing of its answer need be counted. */
  leave(): boolean {
    this.abort()
    return false
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
