/**
 * The public listener: sockets, and limits on them.
 *
 * Express takes what is the gateway's own, under `/-/`. What is proxied passes it by: changing the
 * prototypes of each request and response costs more than the rest of the way together.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import express from 'express'
import { normaliseAddress } from '../contract/addresses.ts'
import { errorBody } from '../contract/errors.ts'
import type { TrustedProxies } from './forwarded.ts'

export interface PublicListener {
  /** @returns The port. @throws when the address cannot be had. */
  listen(host: string, port: number): Promise<number>
  /** Stops accepting; connections that are idle are closed. Resolves when none is left. */
  close(): Promise<void>
  closeAllConnections(): void
  limitConnections(limits: ConnectionLimits): void
  /** For new connections; those that stand go on with what they began with. */
  renewTls(material: TlsMaterial): void
}

/** PEM. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
  /** Who signs client certificates; without it nobody is asked for one. */
  readonly ca: string | undefined
}

export interface ConnectionLimits {
  readonly total: number
  readonly perAddress: number
}

export interface PublicListenerNeeds {
  readonly maxHeaderBytes: number
  readonly connections: ConnectionLimits
  /** Undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined
  /** Many callers come from one of these, so its connections are not counted. */
  readonly proxies: TrustedProxies
  /** Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** A request so malformed that it never became one. Resolves when it is on record. */
  onMalformed(address: string, status: number, code: string): Promise<void>
}

export function createPublicListener(needs: PublicListenerNeeds): PublicListener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use((request, response) => void needs.handle(request, response))
  const serve: http.RequestListener = (request, response) => {
    if (request.url?.startsWith('/-/')) app(request, response)
    else void needs.handle(request, response)
  }

  const options = {
    maxHeaderSize: needs.maxHeaderBytes,
    requireHostHeader: true,
    requestTimeout: 120_000,
    headersTimeout: 20_000,
    keepAliveTimeout: 65_000,
  }
  const secure = needs.tls && https.createServer({ ...options, ...tlsOptions(needs.tls) }, serve)
  const server = secure ?? http.createServer(options, serve)
  // The body is asked for once the caller is known, and not before.
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  // An upgrade comes as a plain request, which the corridor refuses; CONNECT never does.
  server.on('connect', (_request: IncomingMessage, socket: Socket) =>
    refuseSocket(socket, 400, 'invalid_request'),
  )
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const [status, code] = MALFORMED[error.code ?? ''] ?? [400, 'invalid_request']
    refuseSocket(socket, status, code)
  })

  const perAddress = new Map<string, number>()
  const sockets = new Set<Socket>()
  let limits = needs.connections
  server.maxConnections = limits.total
  server.on('connection', (socket: Socket) => {
    const address = normaliseAddress(socket.remoteAddress ?? '')
    const open = (perAddress.get(address) ?? 0) + 1
    if (open > limits.perAddress && !needs.proxies.has(address)) return void socket.destroy()
    perAddress.set(address, open)
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      const left = (perAddress.get(address) ?? 1) - 1
      if (left > 0) perAddress.set(address, left)
      else perAddress.delete(address)
    })
  })

  function refuseSocket(socket: Socket, status: number, code: string): void {
    const address = normaliseAddress(socket.remoteAddress ?? '')
    needs.onMalformed(address, status, code).then(
      () => {
        const body = errorBody(code, status, http.STATUS_CODES[status] ?? 'Refused')
        socket.end(
          `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
        )
      },
      () => socket.destroy(),
    )
  }

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, 1024, () => {
          server.off('error', reject)
          resolve((server.address() as { port: number }).port)
        })
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
    closeAllConnections() {
      server.closeAllConnections()
      // One that is still in its handshake is nobody's connection yet.
      for (const socket of sockets) socket.destroy()
    },
    limitConnections(next) {
      limits = next
      server.maxConnections = next.total
    },
    renewTls: material => secure?.setSecureContext(secureContext(material)),
  }
}

const HANDSHAKE_MS = 10_000

/** A certificate that cannot be verified is answered 401, which tells more than a broken handshake. */
function tlsOptions(material: TlsMaterial): https.ServerOptions {
  return {
    ...secureContext(material),
    requestCert: material.ca !== undefined,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
  }
}

function secureContext({ cert, key, ca }: TlsMaterial): SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' }
}

const MALFORMED: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'invalid_request'],
}
