import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { openSocket, readAnswer } from '../support/raw.ts'
import { startWitness } from '../support/witness.ts'

const BODY = '{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
/** On a busy machine the gateway sees late that a connection has gone. */
const PATIENT = { timeout: 20_000 }
/** A client that behaves has this long, however busy the machine; each test shortens what it is about. */
const CALM = { headers: '10s', body: '10s', idle: '10s', stalled: '10s' }

/**
 * An attacker with patience instead of bandwidth: heads that never end, bodies that drip, answers that
 * are never read, connections that say nothing; each one holds a place, and there are many. Each must be
 * cut off by itself, cheaply and on record, and whoever behaves must not notice.
 */
describe('slow clients and floods', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(async () => {
    model.setFault(null)
    await stopAll()
  })
  afterAll(() => model.close())

  const started = (
    timeouts: object = {},
    limits: object = {},
    target: { readonly url: string } = model,
  ): Promise<RunningGateway> =>
    startGateway({
      targets: [target.url],
      config: { listen: { timeouts: { ...CALM, ...timeouts } }, limits },
    })

  const head = (gateway: RunningGateway, lines: readonly string[]): string =>
    ['POST /v1/chat/completions HTTP/1.1', 'host: x', `authorization: Bearer ${gateway.keys.dev}`]
      .concat(lines, '', '')
      .join('\r\n')

  /** Sends a byte now and then until the gateway has had enough. @returns What it said. */
  async function drip(socket: Socket, bytes: () => string): Promise<string> {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', part => {
      text += String(part)
    })
    const timer = setInterval(() => socket.write(bytes()), 50)
    await once(socket, 'close')
    clearInterval(timer)
    return text
  }

  it('cuts off a head that never ends with 408, on record', async () => {
    const gateway = await started({ headers: '400ms' })
    const socket = await openSocket(gateway.url)
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n')
    expect(await drip(socket, () => 'x-more: 1\r\n')).toMatch(/^HTTP\/1\.1 408 /)
    expect(await gateway.audited(({ http }) => http?.status === 408)).toMatchObject({
      outcome: 'refused',
      error: 'no whole request came in time',
    })
  })

  it('cuts off a body that drips with 408, on record once, and forwards nothing of it', async () => {
    const gateway = await started({ body: '3s' })
    const before = model.stats().requests
    const socket = await openSocket(gateway.url)
    socket.write(head(gateway, ['content-length: 10000']))
    expect(await drip(socket, () => ' ')).toMatch(/^HTTP\/1\.1 408 .*The body took too long/s)
    const records = gateway.audit().filter(({ event }) => event === 'decision')
    expect(records).toMatchObject([{ principal: { id: 'dev' }, http: { status: 408 } }])
    expect(model.stats().requests).toBe(before)
  })

  it('closes connections that say nothing, before and between requests', async () => {
    const gateway = await started({ stalled: '3s', idle: '400ms' })
    const silent = await openSocket(gateway.url)
    const between = await openSocket(gateway.url)
    let answer = ''
    between.on('data', part => {
      answer += String(part)
    })
    between.write(head(gateway, [`content-length: ${BODY.length}`]) + BODY)
    await Promise.all([silent.resume(), between].map(socket => once(socket, 'close')))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('does not take waiting for an answer for silence', async () => {
    let answer = (): void => {}
    const late = await startWitness((_seen, socket) => {
      answer = () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
      return undefined
    })
    const gateway = await started({ stalled: '2s' }, {}, late)
    const waiting = chat(gateway)
    await expect.poll(() => late.seen).toHaveLength(1)
    // Who is silent since then is closed first.
    const silent = await openSocket(gateway.url)
    silent.resume()
    await once(silent, 'close')
    answer()
    expect((await waiting).status).toBe(200)
    await late.close()
  })

  it('cuts off who does not read the answer, and frees the model server', async () => {
    const fast = await startTinySlm()
    const gateway = await started({ stalled: '2s' }, {}, fast)
    const body = JSON.stringify({ ...JSON.parse(BODY), stream: true, max_tokens: 200_000, ignore_eos: true })
    const socket = await openSocket(gateway.url)
    socket.write(head(gateway, [`content-length: ${body.length}`]) + body)
    await once(socket, 'readable')
    await fast.until(stats => stats.aborted === 1)
    expect((await gateway.audited(({ event }) => event === 'outcome')).outcome).toBe('client_closed')
    socket.destroy()
    await fast.close()
  })

  it('refuses more requests at once on one connection than any client sends', async () => {
    model.setFault('hang')
    const gateway = await started()
    const before = model.stats().requests
    const socket = await openSocket(gateway.url)
    socket.on('error', () => {})
    socket.write((head(gateway, [`content-length: ${BODY.length}`]) + BODY).repeat(500))
    const refused = await gateway.audited(({ http }) => http?.status === 503)
    expect(refused).toMatchObject({ outcome: 'refused', code: 'overloaded' })
    expect(model.stats().requests - before).toBeLessThanOrEqual(64)
    socket.destroy()
  })

  it('tells connections over the limit of their address so, and serves those below', async () => {
    const gateway = await started(
      { headers: '60s', body: '60s', stalled: '60s' },
      { connectionsPerAddress: 3 },
    )
    const held = [await openSocket(gateway.url), await openSocket(gateway.url), await openSocket(gateway.url)]
    const refused = await chat(gateway)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect((await errorOf(refused)).code).toBe('overloaded')
    const { decision_id } = await gateway.audited(({ code }) => code === 'overloaded')
    expect(refused.headers.get('x-decision-id')).toBe(decision_id)
    expect(refused.headers.get('x-request-id')).toBe(decision_id)
    held[0]?.write(head(gateway, [`content-length: ${BODY.length}`]) + BODY)
    expect((await readAnswer(held[0] as Socket)).status).toBe(200)
    for (const socket of held) socket.destroy()
    await expect.poll(async () => (await chat(gateway)).status, PATIENT).toBe(200)
  })

  it('tells connections over the limit of all so, and has room again when they are gone', async () => {
    const gateway = await started({ headers: '60s', body: '60s', stalled: '60s' }, { connections: 2 })
    const held = [await openSocket(gateway.url), await openSocket(gateway.url)]
    expect((await chat(gateway)).status).toBe(503)
    for (const socket of held) socket.destroy()
    await expect.poll(async () => (await chat(gateway)).status, PATIENT).toBe(200)
  })

  it('drops a flood of connections, and lives', async () => {
    const gateway = await started({ headers: '2s' }, { connectionsPerAddress: 50 })
    const { hostname, port } = new URL(gateway.url)
    const sockets = Array.from({ length: 600 }, () => connect(Number(port), hostname).on('error', () => {}))
    const dropped = await Promise.all(
      sockets.map(socket => new Promise<void>(done => socket.once('close', () => done()).resume())),
    )
    expect(dropped).toHaveLength(600)
    await expect.poll(async () => (await chat(gateway)).status, PATIENT).toBe(200)
  })

  /**
   * One subscriber of IPv6 has a /64 to choose addresses from: limits on single addresses are none.
   * Behind a proxy that is trusted, the addresses are those it tells of.
   */
  it('counts failed attempts of a whole IPv6 /64 together, and answers without work', async () => {
    const gateway = await startGateway({
      targets: [model.url],
      config: {
        listen: { trustedProxies: ['127.0.0.1'] },
        limits: { unauthenticated: { limit: 3, window: '1h' } },
      },
    })
    const from = async (address: string, key?: string): Promise<number> =>
      (await chat(gateway, { key: key ?? 'wrong', headers: { 'x-forwarded-for': address } })).status
    const statuses: number[] = []
    for (let host = 1; host <= 6; host++) statuses.push(await from(`2001:db8:1:2::${host}`))
    expect(statuses).toEqual([401, 401, 401, 429, 429, 429])
    expect(await from('2001:db8:1:3::1')).toBe(401)
    expect(await from('2001:db8:1:2:ffff::1', gateway.keys.dev)).toBe(200)
  })

  /** What a client that behaves sees while all of it goes on at once. */
  it('serves who behaves meanwhile', async () => {
    const gateway = await started(
      { headers: '5s', body: '5s', idle: '5s', stalled: '5s' },
      { connectionsPerAddress: 300 },
    )
    const { hostname, port } = new URL(gateway.url)
    let over = false
    let cutOff = 0
    const attackers = Array.from({ length: 150 }, async (_, index) => {
      while (!over) {
        const socket = connect(Number(port), hostname).on('error', () => {})
        if (index % 3 === 0) socket.write('GET / HTTP/1.1\r\nhost: x\r\n')
        if (index % 3 === 1) socket.write(head(gateway, ['content-length: 500']))
        if (index % 3 === 2) socket.write(head(gateway, []).replace(/Bearer \S+/, 'Bearer wrong'))
        await new Promise<void>(done => socket.once('close', () => done()).resume())
        if (index % 3 !== 2) cutOff++
      }
    })
    const statuses = new Set<number>()
    for (let request = 0; request < 100 || cutOff < 100; request++) {
      const response = await chat(gateway)
      statuses.add(response.status)
      await response.arrayBuffer()
    }
    over = true
    expect([...statuses]).toEqual([200])
    await Promise.all(attackers)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })
})
