import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Answer, Carrier, UpstreamRequest } from '../../src/upstreams/call.ts'
import { createDispatcher } from '../../src/upstreams/dispatcher.ts'
import { createProxy } from '../../src/upstreams/proxy.ts'

const CARRIERS = { dispatcher: createDispatcher, proxy: createProxy }
const BODY = Buffer.from('{"model":"tiny"}')
const request = (members: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  method: 'POST',
  target: '/v1/chat/completions?k=v',
  headers: { host: 'model', 'content-length': String(BODY.length), 'content-type': 'application/json' },
  body: BODY,
  ...members,
})

async function serve(handler: http.RequestListener): Promise<{ origin: URL; sockets: Set<Socket> }> {
  const server = http.createServer(handler)
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { origin: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), sockets }
}

/** A server that writes bytes of its own and hangs up. */
async function serveBytes(bytes: string): Promise<URL> {
  const server = net.createServer(socket =>
    socket.once('data', () => socket.end(bytes)).on('error', () => {}),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

type Came = { answer: Answer } | { error: NodeJS.ErrnoException; reused: boolean }

function send(carrier: Carrier, origin: URL, members: Partial<UpstreamRequest> = {}) {
  let connected = 0
  let abort = (): void => {}
  const came = new Promise<Came>(resolve => {
    const call = carrier.send({ url: origin, tls: undefined }, request(members), {
      onConnected: () => void connected++,
      onAnswer: answer => resolve({ answer }),
      onError: (error, reused) => resolve({ error, reused }),
    })
    abort = call.abort
    abort = () => call.abort()
  })
  return { came, abort: () => abort(), connected: () => connected }
}

async function answerTo(carrier: Carrier, origin: URL): Promise<Answer> {
  const came = await send(carrier, origin).came
  if (!('answer' in came)) throw came.error
  return came.answer
}

function textOf(answer: Answer): Promise<string> {
  return new Promise(resolve => {
    const parts: Buffer[] = []
    const text = (end: string) => () => resolve(Buffer.concat(parts).toString() + end)
    answer.read({ onPart: part => void parts.push(part), onEnd: text(''), onBroken: text('|broken') })
  })
}

for (const [name, create] of Object.entries(CARRIERS)) {
  const open = (): Carrier => {
    const carrier = create(() => performance.now())
    onTestFinished(() => carrier.close())
    return carrier
  }

  test(`${name}: sends what it is given, and nothing more of the caller's`, async () => {
    const { origin } = await serve(async (incoming, response) => {
      const parts = await incoming.toArray()
      const { host, 'content-type': type } = incoming.headers
      response.end(
        JSON.stringify([incoming.method, incoming.url, host, type, Buffer.concat(parts).toString()]),
      )
    })
    const origin2 = new URL(`${origin.origin}/prefix/`)
    const answer = await answerTo(open(), origin2)
    expect(JSON.parse(await textOf(answer))).toEqual([
      'POST',
      '/prefix/v1/chat/completions?k=v',
      'model',
      'application/json',
      BODY.toString(),
    ])
  })

  test(`${name}: gives status, headers as they came, and a body that nobody asked for yet`, async () => {
    const { origin } = await serve((_, response) => {
      response.writeHead(418, ['X-One', 'a', 'x-one', 'b', 'Content-Type', 'text/plain'])
      response.end('short')
    })
    const answer = await answerTo(open(), origin)
    await new Promise(setImmediate)
    expect(answer.status).toBe(418)
    expect(answer.rawHeaders.slice(0, 6)).toEqual(['X-One', 'a', 'x-one', 'b', 'Content-Type', 'text/plain'])
    expect(answer.header('content-type')).toBe('text/plain')
    expect(await textOf(answer)).toBe('short')
  })

  test(`${name}: uses a connection again, and tells that it did when that one broke`, async () => {
    let count = 0
    const { origin, sockets } = await serve((_, response) => {
      if (++count < 3) response.end('ok')
      else response.destroy()
    })
    const carrier = open()
    for (let i = 0; i < 2; i++) {
      await textOf(await answerTo(carrier, origin))
      await new Promise(setImmediate)
    }
    expect(sockets.size).toBe(1)
    expect(await send(carrier, origin).came).toMatchObject({ error: { code: 'ECONNRESET' }, reused: true })
  })

  test(`${name}: is not kept by a server that closes after each answer`, async () => {
    const { origin, sockets } = await serve((_, response) => {
      response.setHeader('connection', 'close')
      response.end('ok')
    })
    const carrier = open()
    for (let i = 0; i < 5; i++) expect(await textOf(await answerTo(carrier, origin))).toBe('ok')
    expect(sockets.size).toBe(5)
  })

  test(`${name}: says what the system says when there is nobody`, async () => {
    const { came, connected } = send(open(), new URL('http://127.0.0.1:1'))
    expect(await came).toMatchObject({ error: { code: 'ECONNREFUSED' }, reused: false })
    expect(connected()).toBe(0)
  })

  test(`${name}: tells an answer that broke off from one that is whole`, async () => {
    const half = await serveBytes('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
    expect(await textOf(await answerTo(open(), half))).toBe('half|broken')
    const chunked = await serveBytes('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n')
    expect(await textOf(await answerTo(open(), chunked))).toBe('half|broken')
    const whole = await serveBytes('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole')
    expect(await textOf(await answerTo(open(), whole))).toBe('whole')
  })

  test(`${name}: takes garbage for no answer`, async () => {
    const came = await send(open(), await serveBytes('SSH-2.0-OpenSSH_9.2\r\n')).came
    expect(came).toMatchObject({ error: expect.anything() })
  })

  test(`${name}: passes by what is only informational`, async () => {
    const origin = await serveBytes(
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    )
    const answer = await answerTo(open(), origin)
    expect([answer.status, await textOf(answer)]).toEqual([200, 'ok'])
  })

  test(`${name}: hangs up when it is told to, and says no more`, async () => {
    let closed = false
    const { origin } = await serve((incoming, response) => {
      incoming.socket.once('close', () => {
        closed = true
      })
      response.write('first')
    })
    const call = send(open(), origin)
    const came = await call.came
    if (!('answer' in came)) throw came.error
    const seen: string[] = []
    came.answer.read({
      onPart: part => void seen.push(part.toString()),
      onEnd: () => void seen.push('end'),
      onBroken: () => void seen.push('broken'),
    })
    await expect.poll(() => seen).toEqual(['first'])
    call.abort()
    await expect.poll(() => closed).toBe(true)
    call.abort()
    expect(seen.filter(what => what === 'end')).toEqual([])
  })

  test(`${name}: hangs up on a server that has not answered`, async () => {
    let closed = false
    const { origin } = await serve(incoming => {
      incoming.socket.once('close', () => {
        closed = true
      })
    })
    const call = send(open(), origin)
    await expect.poll(call.connected).toBe(1)
    call.abort()
    await expect.poll(() => closed).toBe(true)
  })

  test(`${name}: carries many at the same time, each on its own connection`, async () => {
    const { origin, sockets } = await serve(async (incoming, response) => {
      const parts = await incoming.toArray()
      setImmediate(() => response.end(Buffer.concat(parts as Buffer[])))
    })
    const carrier = open()
    const texts = Array.from({ length: 50 }, (_, i) => `{"i":${i}}`)
    const answers = await Promise.all(
      texts.map(async text => {
        const headers = { host: 'model', 'content-length': String(text.length) }
        const came = await send(carrier, origin, { body: Buffer.from(text), headers }).came
        if (!('answer' in came)) throw came.error
        return textOf(came.answer)
      }),
    )
    expect(answers).toEqual(texts)
    expect(sockets.size).toBeLessThanOrEqual(50)
  })
}
