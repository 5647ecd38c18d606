/**
 * The public listener: sockets, and limits on them.
 *
 * Express takes what is the gateway's own, under `/-/`. What is proxied passes it by: changing the
 * prototypes of each request and response costs more than the rest of the way together.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { Server, type Socket } from 'node:net'
import express from 'express'
import { normaliseAddress } from '../contract/addresses.ts'
import { errorBody } from '../contract/errors.ts'
import { type ConnectionLimits, createConnections, MOST_TURNED_AWAY } from './connections.ts'
import type { TrustedProxies } from './forwarded.ts'
import { listenAt } from './listen-at.ts'
import { breakOff } from './read-body.ts'
import { createTlsDoor, type TlsMaterial } from './tls-options.ts'

/** Connections that may wait to be taken: a burst of them is no attack yet. */
const BACKLOG = 1024

export interface PublicListener {
  /** @returns The port. @throws when the address cannot be had. */
  listen(host: string, port: number): Promise<number>
  /** Stops accepting, and closes each connection once its answer is out. Resolves when none is left. */
  close(): Promise<void>
  closeAllConnections(): void
  limitConnections(limits: ConnectionLimits): void
  /** For new connections; those that stand go on with what they began with. */
  renewTls(material: TlsMaterial): void
}

export interface PublicListenerNeeds {
  readonly maxHeaderBytes: number
  readonly connections: ConnectionLimits
  readonly timeouts: ClientTimeouts
  /** Undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined
  /** Seconds, of `Strict-Transport-Security`. */
  readonly hstsSeconds: number | undefined
  /**
   * Other processes accept at the same address: a connection that Node itself turns away would be offered
   * to the next one, and so on for ever.
   */
  readonly sharesAddress?: boolean
  /** Many callers come from one of these, so its connections are not counted. */
  readonly proxies: TrustedProxies
  /** Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** What was refused before it became a request. @returns The id of its record, once it is written. */
  onRefused(refused: RefusedEarly): Promise<string>
}

/** In milliseconds. */
export interface ClientTimeouts {
  /** For the head of a request. */
  readonly headers: number
  /** For the whole of a request. */
  readonly body: number
  /** Between two requests. */
  readonly idle: number
  /** For a client that does not read what waits for it. */
  readonly stalled: number
}

export interface RefusedEarly {
  readonly address: string
  readonly status: number
  readonly code: string
  /** For the record. */
  readonly reason: string
}

/** How late a client that takes too long may be noticed. */
const LOOK_EVERY_MS = 1000

export function createPublicListener(needs: PublicListenerNeeds): PublicListener {
  const { timeouts, hstsSeconds } = needs
  const connections = createConnections({ limits: needs.connections, proxies: needs.proxies })
  const refused = new WeakSet<Socket>()
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use((request, response) => void needs.handle(request, response))
  const serve: http.RequestListener = (request, response) => {
    const welcome = connections.began(request, response)
    if (hstsSeconds !== undefined) response.setHeader('strict-transport-security', `max-age=${hstsSeconds}`)
    if (!welcome) void turnAway(request, response)
    else if (request.url?.startsWith('/-/')) app(request, response)
    else void needs.handle(request, response)
  }

  const options: http.ServerOptions = {
    maxHeaderSize: needs.maxHeaderBytes,
    // Seen to by the corridor, which puts it on record.
    requireHostHeader: false,
    requestTimeout: timeouts.body,
    headersTimeout: Math.min(timeouts.headers, timeouts.body),
    keepAliveTimeout: timeouts.idle,
    connectionsCheckingInterval: Math.min(LOOK_EVERY_MS, timeouts.headers, timeouts.body),
  }
  const door = needs.tls && createTlsDoor(needs.tls)
  const secure = door && https.createServer({ ...options, ...door.options }, serve)
  const server = secure ?? http.createServer(options, serve)
  // Beyond a count Node would drop headers unseen; the size of all is limited.
  server.maxHeadersCount = 0
  server.timeout = timeouts.stalled
  server.on('timeout', (socket: Socket) => {
    // Who waits for an answer is silent for good reason; who does not read one is not.
    if (!connections.unfinished(socket) || socket.writableLength > 0) socket.destroy()
  })
  // The body is asked for once the caller is known, and not before.
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  // An upgrade comes as a plain request, which the corridor refuses; CONNECT never does.
  server.on('connect', (_request: IncomingMessage, socket: Socket) =>
    refuseSocket(socket, 400, 'invalid_request', 'CONNECT is refused'),
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const exchange = connections.unfinished(socket)
    // The rest of a body: whoever reads it refuses the request.
    if (exchange && !exchange.request.complete) return breakOff(exchange.request, error)
    // Node tells again with each part that still comes.
    if (refused.has(socket)) return
    refused.add(socket)
    const [status, code, reason] = MALFORMED[error.code ?? ''] ?? NO_HTTP
    const refuse = (): void => refuseSocket(socket, status, code, reason)
    // Answers come in the order of the requests: the one before is answered first.
    if (exchange) exchange.response.once('finish', refuse)
    else refuse()
  })
  if (!needs.sharesAddress) server.maxConnections = mostAccepted(needs.connections)
  server.on('connection', connections.opened)

  function refuseSocket(socket: Socket, status: number, code: string, reason: string): void {
    const address = normaliseAddress(socket.remoteAddress ?? '')
    needs.onRefused({ address, status, code, reason }).then(
      id => {
        const body = errorBody(code, status, http.STATUS_CODES[status] ?? 'Refused')
        const head = [
          `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
          'content-type: application/json',
          `content-length: ${Buffer.byteLength(body)}`,
          `x-request-id: ${id}`,
          `x-decision-id: ${id}`,
          'connection: close',
        ]
        socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
      },
      () => socket.destroy(),
    )
  }

  /** Too many connections, or too many requests at once on one: told cheaply, body unread. */
  async function turnAway(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const address = normaliseAddress(request.socket.remoteAddress ?? '')
    const refused = { address, status: 503, code: 'overloaded', reason: 'more connections than are allowed' }
    try {
      const id = await needs.onRefused(refused)
      response.writeHead(503, {
        'content-type': 'application/json',
        'x-request-id': id,
        'x-decision-id': id,
        'retry-after': '1',
        connection: 'close',
      })
      response.end(errorBody('overloaded', 503, 'Too many connections; try again'))
    } catch {
      response.destroy()
    }
  }

  return {
    listen: (host, port) => listenAt(server, { host, port, backlog: BACKLOG }),
    close: () =>
      new Promise(resolve => {
        // That of HTTP would also cut connections whose answer is written but not yet sent.
        Server.prototype.close.call(server, () => resolve())
        connections.closeQuiet()
      }),
    closeAllConnections() {
      server.closeAllConnections()
      connections.closeAll()
    },
    limitConnections(next) {
      connections.limit(next)
      if (!needs.sharesAddress) server.maxConnections = mostAccepted(next)
    },
    renewTls(material) {
      if (secure && door) secure.setSecureContext(door.renew(material))
    },
  }
}

/** Some more than are served, so that those can be told. */
function mostAccepted({ total }: ConnectionLimits): number {
  return total + MOST_TURNED_AWAY
}

type Malformed = readonly [status: number, code: string, reason: string]
const MALFORMED: Readonly<Record<string, Malformed>> = {
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large', 'the headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'invalid_request', 'no whole request came in time'],
}
const NO_HTTP: Malformed = [400, 'invalid_request', 'not a request that HTTP allows']
