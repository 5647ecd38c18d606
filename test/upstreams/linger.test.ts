import { readFileSync } from 'node:fs'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import type { Head } from '../../src/upstreams/attempt.ts'
import type { Answer, UpstreamCall } from '../../src/upstreams/call.ts'
import type { Watched } from '../../src/upstreams/deadlines.ts'
import { createDispatcher } from '../../src/upstreams/dispatcher.ts'
import { linger } from '../../src/upstreams/linger.ts'
import { authority } from '../support/certificates.ts'
import { temporaryFolder } from '../support/folder.ts'

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'

interface Left {
  /** What was counted. */
  text(): string
  /** Resolves when nothing more is. */
  readonly over: Promise<void>
  readonly watched: Watched
}

/** A server that answers with bytes of its own, and does as it likes when half of the connection is ended. */
async function leaving(onHalfEnded: (socket: Socket) => void): Promise<Left & { closed: Promise<unknown> }> {
  let closed = (_value?: unknown): void => {}
  const closing = new Promise(resolve => {
    closed = resolve
  })
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(`${HEAD}one `))
    socket.once('end', () => onHalfEnded(socket))
    socket.once('close', closed)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const head = await headFrom(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { ...left(head), closed: closing }
}

async function headFrom(url: string, ca?: string): Promise<Head> {
  const dispatcher = createDispatcher(() => 0)
  onTestFinished(() => dispatcher.close())
  const tls = ca === undefined ? undefined : { ca, cert: undefined, key: undefined, serverName: undefined }
  const body = Buffer.from('{}')
  let call = undefined as UpstreamCall | undefined
  const answer = await new Promise<Answer>((onAnswer, onError) => {
    const request = { method: 'POST', target: '/', headers: { 'content-length': '2' }, body }
    call = dispatcher.send({ url: new URL(url), tls }, request, { onConnected() {}, onAnswer, onError })
  })
  return { answer, readUntil: undefined, call: call as UpstreamCall }
}

function left(head: Head): Left {
  let text = ''
  let watched: Watched | undefined
  const over = new Promise<void>(onOver => {
    const deadlines = {
      watch(each: Watched) {
        watched = each
      },
      forget() {},
    }
    const count = (part: Buffer): void => {
      text += part.toString('latin1')
    }
    linger(head, { deadlines, now: () => 0, count, onOver }, reader => head.answer.read(reader))
  })
  return { text: () => text, over, watched: watched as unknown as Watched }
}

it('reads what a server had sent before it noticed, until it ends', async () => {
  const { text, over } = await leaving(socket => {
    socket.write('two ')
    socket.end('three')
  })
  await over
  expect(text()).toBe('one two three')
})

it('reads the same of one that breaks the connection', async () => {
  const { text, over } = await leaving(socket => socket.write('two', () => socket.destroy()))
  await over
  expect(text()).toBe('one two')
})

it('cuts a server that goes on as if nothing had happened, once its time is up', async () => {
  const { text, over, watched, closed } = await leaving(socket => {
    const more = (): void => {
      if (!socket.destroyed) socket.write('.', () => setImmediate(more))
    }
    more()
  })
  await expect.poll(text).toContain('one ....')
  watched.onDue(watched.dueAt)
  await Promise.all([over, closed])
})

it('cuts a server that sends more than anybody can have had on its way', async () => {
  const much = Buffer.alloc(64 * 1024 * 1024, 'x')
  const { text, over, closed } = await leaving(socket => void socket.write(much))
  await Promise.all([over, closed])
  expect(text().length).toBeLessThan(6 * 1024 * 1024)
})

it('reads all that a server over TLS wrote while it did not know', async () => {
  const trusted = authority(temporaryFolder(), 'ca')
  const { cert, key } = trusted.issue('localhost', '/CN=localhost', ['DNS:localhost'], {
    usage: 'serverAuth',
  })
  let written = 0
  const server = https.createServer({ cert, key }, (_request, response) => {
    const more = (): void => {
      if (!response.socket?.writable) return
      written++
      response.write('.', () => setImmediate(more))
    }
    more()
  })
  await new Promise<void>(resolve => server.listen(0, resolve))
  onTestFinished(() => void server.close())
  const url = `https://localhost:${(server.address() as AddressInfo).port}`
  const head = await headFrom(url, readFileSync(trusted.file, 'utf8'))
  await expect.poll(() => written).toBeGreaterThan(20)
  const { text, over } = left(head)
  await over
  expect(text().length).toBe(written)
})
