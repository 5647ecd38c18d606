/**
 * A witness in the place of a model server: it takes whatever reaches it, byte by byte, and says so.
 * No HTTP library reads for it, so nothing is mended or refused on the way to the test.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

export interface Witnessed {
  /** The request line, as it came. */
  readonly line: string
  readonly method: string
  readonly target: string
  /** Names in lower case; a header that came twice stands here twice. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

export interface Witness {
  readonly url: string
  readonly seen: readonly Witnessed[]
  /** What came and was no request; must stay empty. */
  readonly strange: readonly string[]
  forget(): void
  close(): Promise<void>
}

export type Answer = (seen: Witnessed, socket: Socket) => string | Buffer | undefined

const json = (text: string): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`

/** @param answer - What is sent back, as it is; nothing when it gives none. */
export async function startWitness(answer: Answer = () => json('{"ok":true}')): Promise<Witness> {
  const seen: Witnessed[] = []
  const strange: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    let rest = ''
    socket.on('data', part => {
      rest += part.toString('latin1')
      for (let taken = take(rest); taken; taken = take(rest)) {
        rest = taken.rest
        if (isProbe(taken.request)) {
          socket.write(json('{"status":"ok"}'))
          continue
        }
        seen.push(taken.request)
        const bytes = answer(taken.request, socket)
        if (bytes !== undefined && !socket.destroyed) socket.write(bytes)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      // A request that its sender broke off is told by its beginning.
      if (rest !== '') strange.push(rest)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    seen,
    strange,
    forget() {
      seen.length = 0
      strange.length = 0
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The gateway's own question how it is; what is proxied has an id, and this has none. */
function isProbe({ headers }: Witnessed): boolean {
  const names = new Map(headers)
  return names.get('user-agent') === 'sallyport-health' && !names.has('x-request-id')
}

/** The first whole request of what came; bodies have a length, as the gateway sends no other. */
function take(bytes: string): { request: Witnessed; rest: string } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...lines] = bytes.slice(0, end).split('\r\n')
  const headers = lines.map((text): [string, string] => {
    const colon = text.indexOf(':')
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()]
  })
  const length = Number(headers.find(([name]) => name === 'content-length')?.[1] ?? 0)
  const from = end + 4
  if (bytes.length < from + length) return undefined
  const [method = '', target = ''] = line.split(' ')
  const body = Buffer.from(bytes.slice(from, from + length), 'latin1').toString('utf8')
  return { request: { line, method, target, headers, body }, rest: bytes.slice(from + length) }
}
