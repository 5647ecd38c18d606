import { once } from 'node:events'
import { appendFileSync, readdirSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { GENESIS } from '../../src/audit/chain.ts'
import { createHttpSink } from '../../src/audit/http-sink.ts'
import { createAuditLog } from '../../src/audit/log.ts'
import { createSpool } from '../../src/audit/spool.ts'
import { temporaryFolder } from '../support/folder.ts'

interface Collector {
  readonly url: string
  readonly uploads: {
    readonly url: string
    readonly headers: IncomingHttpHeaders
    readonly numbers: number[]
  }[]
  /** What is answered from now on; 0 is no answer at all. */
  status: number
  /** Longer lists are 413. */
  most: number
}

async function collector(port = 0): Promise<Collector & { server: Server }> {
  const state: Collector = { url: '', uploads: [], status: 200, most: Number.POSITIVE_INFINITY }
  const server = createServer(async (request, response) => {
    const packed = await buffer(request)
    const list = JSON.parse(gunzipSync(packed).toString()) as { number: number }[]
    if (state.status === 0) return
    if (list.length > state.most) return void response.writeHead(413).end()
    if (state.status === 200)
      state.uploads.push({
        url: request.url ?? '',
        headers: request.headers,
        numbers: list.map(({ number }) => number),
      })
    response.writeHead(state.status).end()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  return Object.assign(state, {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  })
}

interface UploadOptions {
  readonly folder?: string
  readonly url: string
  readonly maxBytes?: number
  readonly mayDrop?: boolean
  readonly segmentBytes?: number
  /** An upload that a busy machine takes for lost comes twice. */
  readonly timeoutMs?: number
}

function upload({
  folder = temporaryFolder(),
  url,
  maxBytes = 1 << 20,
  mayDrop = true,
  segmentBytes = 1 << 16,
  timeoutMs = 20_000,
}: UploadOptions) {
  const told = { delivered: 0, dropped: 0, states: [] as boolean[] }
  const onDropped = (records: number): void => {
    told.dropped += records
  }
  const spool = createSpool({ folder, maxBytes, segmentBytes, mayDrop, onDropped })
  const sink = createHttpSink({
    spool,
    url: `${url}/logs`,
    headers: { authorization: 'Bearer secret' },
    intervalMs: 10,
    timeoutMs,
    random: () => 0,
    onDelivered(records) {
      told.delivered += records
    },
    onDropped,
    onStateChange: ok => void told.states.push(ok),
  })
  const log = createAuditLog({
    channels: [{ type: 'http', name: 'http', sink, from: spool.from, decides: !mayDrop }],
    onFailure: 'refuse',
    now: () => 0,
    onRecords: () => {},
    onStateChange: () => {},
  })
  onTestFinished(() => log.close())
  const add = async (from: number, to: number): Promise<void> => {
    for (let number = from; number <= to; number++) await log.write(`{"event":"e","number":${number}}`)
  }
  return { folder, sink, log, spool, told, add }
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('the upload', () => {
  it('posts gzipped lists, as OPA does, each record once and in order', async () => {
    const server = await collector()
    const { add, told } = upload(server)
    await add(1, 50)
    await expect.poll(() => server.uploads.flatMap(({ numbers }) => numbers)).toEqual(range(1, 50))
    expect(server.uploads[0]).toMatchObject({
      url: '/logs',
      headers: {
        'content-encoding': 'gzip',
        'content-type': 'application/json',
        authorization: 'Bearer secret',
      },
    })
    await expect.poll(() => told.delivered).toBe(50)
  })

  // The server has them before the gateway knows.
  const EMPTY = { ok: true, error: null, waiting: { records: 0, bytes: 0 } }

  it.each([500, 429, 403])(
    'keeps what the server does not take (%d), and delivers it later',
    async status => {
      const server = await collector()
      server.status = status
      const { add, told, sink } = upload(server)
      await add(1, 5)
      await expect.poll(() => told.states).toEqual([false])
      await add(6, 9)
      expect(sink.facts?.()).toMatchObject({ ok: false, waiting: { records: 9 } })
      server.status = 200
      await expect.poll(() => server.uploads.flatMap(({ numbers }) => numbers)).toEqual(range(1, 9))
      await expect.poll(() => told.states).toEqual([false, true])
      await expect.poll(() => sink.facts?.()).toMatchObject(EMPTY)
    },
  )

  it('keeps what the server does not answer for, and delivers it later', async () => {
    const server = await collector()
    server.status = 0
    const { add, told, sink } = upload({ url: server.url, timeoutMs: 200 })
    await add(1, 5)
    await expect.poll(() => told.states).toEqual([false])
    await add(6, 9)
    expect(sink.facts?.()).toMatchObject({ ok: false, waiting: { records: 9 } })
    server.status = 200
    await expect.poll(() => sink.facts?.()).toMatchObject(EMPTY)
    expect(told.states.slice(0, 2)).toEqual([false, true])
    expect(told.delivered).toBe(9)
    // What is taken, but answered late, comes again.
    expect([...new Set(server.uploads.flatMap(({ numbers }) => numbers))]).toEqual(range(1, 9))
  })

  it('delivers after a restart what an earlier run could not, in the same chain', async () => {
    const folder = temporaryFolder()
    const dead = upload({ folder, url: 'http://127.0.0.1:9' })
    await dead.add(1, 5)
    await dead.log.close()
    // The process was killed in the middle of a line.
    const [segment] = readdirSync(folder).filter(name => name.endsWith('.jsonl'))
    appendFileSync(`${folder}/${segment}`, '{"event":"ha')
    const server = await collector()
    const { add, spool } = upload({ folder, url: server.url })
    expect(spool.from.seq).toBe(5)
    await add(6, 8)
    await expect.poll(() => server.uploads.flatMap(({ numbers }) => numbers)).toEqual(range(1, 8))
  })

  it('goes on in its chain when everything was delivered', async () => {
    const folder = temporaryFolder()
    const server = await collector()
    // Nothing is sent before it closes, and then nobody gives up.
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const first = upload({ folder, url: server.url })
    await first.add(1, 3)
    expect(server.uploads).toEqual([])
    await first.log.close()
    expect(server.uploads.map(({ numbers }) => numbers)).toEqual([range(1, 3)])
    expect(readdirSync(folder).filter(name => name.endsWith('.jsonl'))).toEqual([])
    const { spool } = upload({ folder, url: server.url })
    expect(spool.from.seq).toBe(3)
    expect(spool.from.hash).not.toBe(GENESIS.hash)
  })

  it('drops the oldest when its buffer is full, and says how many', async () => {
    const server = await collector()
    server.status = 503
    const { add, told, spool } = upload({ ...server, url: server.url, maxBytes: 4000, segmentBytes: 1000 })
    await add(1, 100)
    expect(spool.waiting().bytes).toBeLessThanOrEqual(4000)
    expect(told.dropped + spool.waiting().records).toBe(100)
    server.status = 200
    await expect.poll(() => server.uploads.flatMap(({ numbers }) => numbers).at(-1)).toBe(100)
    const delivered = server.uploads.flatMap(({ numbers }) => numbers)
    expect(delivered).toHaveLength(100 - told.dropped)
    // The segment that was on its way when room was needed is older than those that went for it.
    const gap = delivered.findLastIndex((number, at) => number !== (delivered[at - 1] ?? number - 1) + 1)
    const [sent, newest] = [delivered.slice(0, Math.max(gap, 0)), delivered.slice(Math.max(gap, 0))]
    expect(sent).toEqual(range(sent[0] ?? 1, sent.at(-1) ?? 0))
    expect(newest).toEqual(range(101 - newest.length, 100))
    // Of some twenty that there is room for.
    expect(newest.length).toBeGreaterThanOrEqual(6)
  })

  it('takes no more when its buffer is full and it is all there is', async () => {
    const { add, told } = upload({ url: 'http://127.0.0.1:9', maxBytes: 2000, mayDrop: false })
    await expect(add(1, 100)).rejects.toMatchObject({ code: 'audit_unavailable' })
    expect(told.dropped).toBe(0)
  })

  it('sends in halves what is too large for the server, and gives up on one record that is', async () => {
    const server = await collector()
    server.most = 3
    const { add } = upload(server)
    await add(1, 20)
    await expect.poll(() => server.uploads.flatMap(({ numbers }) => numbers)).toEqual(range(1, 20))
    const strict = await collector()
    strict.most = 0
    const { add: addMore, told } = upload(strict)
    await addMore(1, 2)
    await expect.poll(() => told.dropped).toBe(2)
  })
})
