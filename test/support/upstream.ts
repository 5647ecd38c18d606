/**
 * An upstream server that does just what a test says: a real HTTP server, scripted.
 */
import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'

export interface Upstream {
  readonly url: string
  readonly port: number
  /** Calls but for those that look whether it is well, in the order in which they came. */
  readonly calls: readonly UpstreamCall[]
  /** Resolves when so many calls have come. */
  came(count: number): Promise<void>
  close(): Promise<void>
}

export interface UpstreamCall {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: string
  /** Answers as a chat would be answered. */
  answer(text?: string): void
  fail(status: number, headers?: Readonly<Record<string, string>>): void
}

export interface UpstreamOptions {
  readonly port?: number
  readonly tls?: https.ServerOptions
  /** What a call comes to; held until the test answers it, unless told. */
  readonly onCall?: (call: UpstreamCall) => void
  /** Answers GET requests; 404 unless told. */
  readonly onGet?: RequestListener
}

export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const { port = 0, tls, onCall, onGet } = options
  const calls: UpstreamCall[] = []
  const watchers = new Set<() => void>()

  const handle: RequestListener = (request, response) => {
    if (request.method === 'GET') {
      if (onGet) onGet(request, response)
      else response.writeHead(404).end()
      return
    }
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const call: UpstreamCall = {
        request,
        response,
        body: Buffer.concat(parts).toString('utf8'),
        answer: (text = 'ok') =>
          void response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ choices: [{ message: { role: 'assistant', content: text } }] })),
        fail: (status, headers = {}) => void response.writeHead(status, headers).end('secret details'),
      }
      calls.push(call)
      onCall?.(call)
      for (const look of watchers) look()
    })
  }

  const server = tls ? https.createServer(tls, handle) : http.createServer(handle)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${bound}`,
    port: bound,
    calls,
    came: count =>
      new Promise(resolve => {
        const look = (): void => {
          if (calls.length < count) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
