import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { openSocket, readAnswer, sendRaw } from '../support/raw.ts'

const BODY = '{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'

/**
 * An attacker who speaks bytes, not HTTP: two lengths, so that the gateway and the model server
 * disagree where a request ends; half a body; headers without end; a body that two parsers read
 * differently. Nothing of it may reach the model server, and every refusal is on record.
 */
describe('attacks on framing and parsing', () => {
  let model: TinySlm
  let gateway: RunningGateway
  beforeAll(async () => {
    model = await startTinySlm()
    gateway = await startGateway({ targets: [model.url], config: { limits: { body: '64KiB' } } })
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const head = (lines: readonly string[], target = '/v1/chat/completions', method = 'POST'): string =>
    [
      `${method} ${target} HTTP/1.1`,
      'host: gateway',
      `authorization: Bearer ${gateway.keys.dev}`,
      'content-type: application/json',
      ...lines,
      '',
      '',
    ].join('\r\n')

  const refusedWith = async (bytes: string | Buffer, status: number): Promise<void> => {
    const reached = model.stats().requests
    const recorded = gateway.audit().length
    const answer = await sendRaw(gateway.url, bytes)
    expect(answer.status).toBe(status)
    expect(model.stats().requests).toBe(reached)
    const record = await gateway.audited(
      ({ event, outcome, http, chain }) =>
        chain.seq > recorded && event === 'decision' && outcome === 'refused' && http.status === status,
    )
    expect(record.code).toBeDefined()
    expect(answer.text).toMatch(/\r\nx-request-id: \S/i)
    expect(answer.text).toContain(`x-decision-id: ${record.decision_id}\r\n`)
  }

  it('answers the same request when nothing is wrong with it', async () => {
    const answer = await sendRaw(gateway.url, head([`content-length: ${BODY.length}`]) + BODY)
    expect(answer.status).toBe(200)
  })

  /** Two lengths, or a length and chunks: one request for the gateway, one and a half for the server. */
  it.each([
    ['two Content-Length lines that differ', () => [`content-length: ${BODY.length}`, 'content-length: 5']],
    [
      'two Content-Length lines that agree',
      () => [`content-length: ${BODY.length}`, `content-length: ${BODY.length}`],
    ],
    [
      'Content-Length with Transfer-Encoding',
      () => [`content-length: ${BODY.length}`, 'transfer-encoding: chunked'],
    ],
    ['a Content-Length that is no number', () => ['content-length: 1x']],
    ['a negative Content-Length', () => ['content-length: -1']],
    ['a transfer coding that is not chunked', () => ['transfer-encoding: xchunked']],
    ['a folded header line', () => [`content-length: ${BODY.length}`, 'x-a: 1', ' folded']],
    ['a space before the colon', () => [`content-length: ${BODY.length}`, 'x-a : 1']],
    ['two Authorization lines', () => [`content-length: ${BODY.length}`, 'authorization: Bearer other']],
    ['a compressed body', () => [`content-length: ${BODY.length}`, 'content-encoding: gzip']],
    ['an upgrade', () => [`content-length: ${BODY.length}`, 'connection: upgrade', 'upgrade: websocket']],
  ])('refuses %s', async (_name, lines) => {
    await refusedWith(head(lines()) + BODY, 400)
  })

  /** A path that is another one by the time it arrives. */
  it.each([
    ['dot segments', '/v1/../admin'],
    ['escaped dot segments', '/v1/%2e%2e/admin'],
    ['an escaped slash', '/v1%2fchat/completions'],
    ['an escaped backslash', '/v1/%5cchat'],
    ['an escaped NUL', '/v1/chat%00'],
    ['an empty segment', '//evil/v1/chat/completions'],
    ['a whole URL', 'http://evil/v1/chat/completions'],
    ['a stray percent sign', '/v1/%zz'],
    ['a fragment', '/v1/chat/completions#x'],
  ])('refuses a path with %s', async (_name, target) => {
    await refusedWith(head([`content-length: ${BODY.length}`], target) + BODY, 400)
  })

  /** A tunnel that nobody looks into, and an echo of headers that scripts must not read. */
  it.each(['CONNECT', 'TRACE'])('refuses %s', async method => {
    await refusedWith(head(['content-length: 0'], method === 'CONNECT' ? 'evil:443' : '/', method), 400)
  })

  /** A body that the policy and the server read differently, or that one of the two cannot read. */
  it.each([
    ['is not JSON', '{"model":'],
    ['goes on after the value', `${BODY} {}`],
    ['has a key twice', '{"model":"tiny","model":"tiny-large"}'],
    ['has a key twice, once escaped', '{"model":"tiny","\\u006dodel":"tiny-large"}'],
    ['begins with a byte order mark', `\ufeff${BODY}`],
    ['is nested 65 deep', `${'['.repeat(65)}${']'.repeat(65)}`],
    ['is form data', 'model=tiny'],
  ])('refuses a body that %s', async (_name, body) => {
    const bytes = Buffer.from(body)
    await refusedWith(Buffer.concat([Buffer.from(head([`content-length: ${bytes.length}`])), bytes]), 400)
  })

  it('refuses a body that is not UTF-8', async () => {
    const bytes = Buffer.from('{"model":"tin\xff"}', 'latin1')
    await refusedWith(Buffer.concat([Buffer.from(head([`content-length: ${bytes.length}`])), bytes]), 400)
  })

  it('refuses a megabyte of headers with 431', async () => {
    await refusedWith(head([`x-long: ${'a'.repeat(1024 * 1024)}`]), 431)
  })

  it('refuses a body over the limit by its declared length, before it is sent', async () => {
    await refusedWith(head(['content-length: 65537']), 413)
  })

  it('refuses a body over the limit that does not say its length', async () => {
    const chunk = `2000\r\n${'a'.repeat(0x2000)}\r\n`
    await refusedWith(head(['transfer-encoding: chunked']) + chunk.repeat(9), 413)
  })

  it('lets a client read its 413 while it still sends', async () => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.keys.dev}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'tiny',
        messages: [{ role: 'user', content: 'x'.repeat(4 * 1024 * 1024) }],
      }),
    })
    expect(response.status).toBe(413)
    expect(((await response.json()) as { error: { code: string } }).error.code).toBe('payload_too_large')
  })

  it('forwards nothing of a body that stops half-way', async () => {
    const reached = model.stats().requests
    const recorded = gateway.audit().length
    const socket = await openSocket(gateway.url)
    socket.write(head([`content-length: ${BODY.length}`]) + BODY.slice(0, 20))
    socket.end()
    const record = await gateway.audited(({ chain, event }) => chain.seq > recorded && event === 'decision')
    expect(record).toMatchObject({ outcome: 'refused', code: 'invalid_request' })
    expect(model.stats().requests).toBe(reached)
    socket.destroy()
  })

  it('asks for a body with 100 Continue only once the caller is known, and sends no Expect upstream', async () => {
    const stranger = (
      await sendRaw(
        gateway.url,
        head([`content-length: ${BODY.length}`, 'expect: 100-continue']).replace(
          /Bearer \S+/,
          'Bearer nobody',
        ),
      )
    ).status
    expect(stranger).toBe(401)
    const socket = await openSocket(gateway.url)
    socket.write(head([`content-length: ${BODY.length}`, 'expect: 100-continue']))
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(first.toString()).toMatch(/^HTTP\/1\.1 100 Continue/)
    socket.write(BODY)
    expect((await readAnswer(socket)).status).toBe(200)
    const sent = Object.keys(model.stats().last?.headers ?? {})
    expect(sent).not.toContain('expect')
    expect(sent).not.toContain('authorization')
    socket.destroy()
  })

  it('sends no header that Connection names, and no hop-by-hop header, upstream', async () => {
    const lines = [
      `content-length: ${BODY.length}`,
      'connection: keep-alive, openai-secret',
      'openai-secret: 1',
      'te: trailers',
      'proxy-authorization: Basic x',
    ]
    expect((await sendRaw(gateway.url, head(lines) + BODY)).status).toBe(200)
    const sent = Object.keys(model.stats().last?.headers ?? {})
    for (const name of ['openai-secret', 'te', 'proxy-authorization', 'authorization'])
      expect(sent).not.toContain(name)
  })

  it('answers a second request on the same connection after a refusal', async () => {
    const socket = await openSocket(gateway.url)
    socket.write(head([`content-length: ${BODY.length}`]).replace(/Bearer \S+/, 'Bearer nobody') + BODY)
    expect((await readAnswerOn(socket)).status).toBe(401)
    socket.write(head([`content-length: ${BODY.length}`]) + BODY)
    expect((await readAnswerOn(socket)).status).toBe(200)
    socket.destroy()
  })

  it('verifies after all of it', async () => {
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })
})

/** As `readAnswer`, leaving the socket open. */
async function readAnswerOn(socket: import('node:net').Socket): Promise<{ status: number }> {
  const [first] = (await once(socket, 'data')) as [Buffer]
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first.toString())?.[1] ?? 0) }
}
