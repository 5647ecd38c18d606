/**
 * A server of OPA's bundle protocol: one bundle, an `ETag`, and answers that wait when they are asked to.
 */
import { createHash } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BundleServer {
  readonly url: string
  /** What was asked so far. */
  readonly requests: readonly { readonly headers: IncomingMessage['headers']; readonly status: number }[]
  /** Puts another bundle there; who waits is answered. */
  serve(archive: Uint8Array): void
  /** Answers with this status, until there is another bundle. */
  fail(status: number): void
  /** Resolves with the first request, past or to come, that fits. */
  asked(fits: (request: { headers: IncomingMessage['headers']; status: number }) => boolean): Promise<void>
  close(): Promise<void>
}

export async function startBundleServer({
  archive,
  longPolling = true,
  port = 0,
}: {
  archive?: Uint8Array
  longPolling?: boolean
  port?: number
} = {}): Promise<BundleServer> {
  let held = archive
  let failing: number | undefined
  const requests: { headers: IncomingMessage['headers']; status: number }[] = []
  const waiting = new Set<() => void>()
  const watchers = new Set<() => void>()

  const etag = (): string | undefined =>
    held && `"${createHash('sha256').update(held).digest('hex').slice(0, 8)}"`
  function answer({ headers }: IncomingMessage, response: ServerResponse): void {
    const same = held !== undefined && headers['if-none-match'] === etag()
    const status = failing ?? (held === undefined ? 404 : same ? 304 : 200)
    requests.push({ headers, status })
    response.writeHead(status, {
      ...(status === 200 ? { etag: etag(), 'content-type': 'application/vnd.openpolicyagent.bundles' } : {}),
    })
    response.end(status === 200 ? held : undefined)
    for (const watcher of watchers) watcher()
  }

  const server = http.createServer((request, response) => {
    const wait = /wait=(\d+)/.exec(String(request.headers.prefer))?.[1]
    const same = request.headers['if-none-match'] === etag()
    if (!longPolling || wait === undefined || !same || failing !== undefined) {
      answer(request, response)
      return
    }
    const done = (): void => {
      clearTimeout(timer)
      waiting.delete(done)
      answer(request, response)
    }
    const timer = setTimeout(done, Number(wait) * 1000)
    waiting.add(done)
    response.on('close', () => {
      clearTimeout(timer)
      waiting.delete(done)
    })
  })
  const answerAll = (): void => {
    for (const done of waiting) done()
  }
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundles/gateway.tar.gz`,
    requests,
    serve(next) {
      held = next
      failing = undefined
      answerAll()
    },
    fail(status) {
      failing = status
      answerAll()
    },
    asked: fits =>
      new Promise(resolve => {
        const look = (): void => {
          if (!requests.some(fits)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
