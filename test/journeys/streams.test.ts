import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import OpenAI, { APIError } from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, OPEN_POLICY, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { openSocket } from '../support/raw.ts'
import { startUpstream } from '../support/upstream.ts'

const CONCURRENCY = {
  'gateway.rego':
    'package gateway\n\ndecision := {"allow": true, "limits": [{"name": "streams", "key": input.principal.id, "unit": "concurrency", "limit": 1}]}\n',
}

describe('streams', () => {
  let slow: TinySlm
  beforeAll(async () => {
    slow = await startTinySlm({ tokensPerSecond: 50 })
  })
  afterEach(async () => {
    slow.setFault(null)
    await stopAll()
  })
  afterAll(() => slow.close())

  const long = { stream: true, max_tokens: 4000, ignore_eos: true }

  const outcomeOf = async (gateway: RunningGateway, response: Response) => {
    const id = response.headers.get('x-decision-id')
    return gateway.audited(record => record.event === 'outcome' && record.decision_id === id)
  }

  it('passes each event on as it comes, never gathered', async () => {
    const upstream = await startUpstream()
    const gateway = await startGateway({ policy: OPEN_POLICY, targets: [upstream.url] })
    const asked = chat(gateway, { body: { stream: true } })
    await upstream.came(1)
    const server = upstream.calls[0]?.response as ServerResponse
    server.writeHead(200, { 'content-type': 'text/event-stream' })
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
    const more = async (): Promise<string> => {
      const part = await reader?.read()
      if (!part?.value) throw new Error('the answer has ended')
      return Buffer.from(part.value).toString()
    }
    let text = ''
    for (let word = 1; word <= 10; word++) {
      // The next one comes only when this one was read: one that is gathered would be waited for in vain.
      server.write(`data: {"choices":[{"delta":{"content":"word ${word}"}}]}\n\n`)
      reader ??= ((await asked).body as ReadableStream<Uint8Array>).getReader()
      while (!text.endsWith(`"word ${word}"}}]}\n\n`)) text += await more()
    }
    expect(text.match(/word/g)).toHaveLength(10)
    server.end('data: [DONE]\n\n')
    expect(await more()).toBe('data: [DONE]\n\n')
    await upstream.close()
  })

  it('ends the upstream request at once when the client leaves in mid-stream, and frees its slot', async () => {
    const gateway = await startGateway({ policy: CONCURRENCY, targets: [slow.url] })
    const before = slow.stats().aborted
    const leaving = new AbortController()
    const response = await chat(gateway, { body: long, signal: leaving.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    expect((await chat(gateway)).status).toBe(429)
    leaving.abort()
    await slow.until(stats => stats.aborted === before + 1)
    expect(await outcomeOf(gateway, response)).toMatchObject({
      outcome: 'client_closed',
      http: { status: 200 },
    })
    expect((await chat(gateway)).status).toBe(200)
    expect((await gateway.status()).pools.chat.targets[0].in_flight).toBe(0)
  })

  it('ends the upstream request when the client leaves before the first byte', async () => {
    slow.setFault('hang')
    const gateway = await startGateway({ policy: CONCURRENCY, targets: [slow.url] })
    const before = slow.stats()
    const leaving = new AbortController()
    const asked = chat(gateway, { body: long, signal: leaving.signal })
    await slow.until(stats => stats.requests === before.requests + 1)
    leaving.abort()
    await expect(asked).rejects.toThrow()
    await slow.until(stats => stats.in_flight === 0)
    const outcome = await gateway.audited(record => record.event === 'outcome')
    expect(outcome).toMatchObject({ outcome: 'client_closed', code: 'client_closed', http: { status: 499 } })
    slow.setFault(null)
    expect((await chat(gateway)).status).toBe(200)
  })

  it('makes an SDK raise when the upstream dies in mid-stream, instead of taking half for whole', async () => {
    slow.setFault('break')
    const gateway = await startGateway({ policy: OPEN_POLICY, targets: [slow.url] })
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.dev ?? '', maxRetries: 0 })
    const stream = await client.chat.completions.create({
      model: 'tiny',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
    })
    let chunks = 0
    const reading = (async () => {
      for await (const _ of stream) chunks++
    })()
    await expect(reading).rejects.toThrow()
    expect(chunks).toBeGreaterThan(0)
    expect((await gateway.audited(record => record.event === 'outcome')).outcome).toBe('upstream_failed')
  })

  // The moment is told in the request itself: however long a busy machine took to start the gateway.
  const inAWhile = (): number => Date.now() + 3000

  it('says in an error event why a stream ended at its time', async () => {
    const policy = {
      'gateway.rego':
        'package gateway\n\ndecision := {"allow": true, "expires_at": input.request.body.user}\n',
    }
    const gateway = await startGateway({ policy, targets: [slow.url] })
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.dev ?? '', maxRetries: 0 })
    const stream = await client.chat.completions.create({
      model: 'tiny',
      stream: true,
      messages: [{ role: 'user', content: 'x' }],
      max_tokens: 4000,
      user: new Date(inAWhile()).toISOString(),
      ...{ ignore_eos: true },
    })
    const reading = (async () => {
      for await (const _ of stream);
    })()
    await expect(reading).rejects.toThrow(APIError)
    expect((await gateway.audited(record => record.event === 'outcome')).outcome).toBe('expired')
  })

  it('asks the policy again while a stream runs, and ends it when the answer has changed', async () => {
    const policy = {
      'gateway.rego':
        'package gateway\n\ndefault decision := {"allow": false}\n\ndecision := {"allow": true, "recheck_every": "300ms"} if time.now_ns() < to_number(input.request.body.user)\n',
    }
    const gateway = await startGateway({ policy, targets: [slow.url] })
    const response = await chat(gateway, { body: { ...long, user: `${inAWhile()}000000` } })
    const text = await response.text()
    expect(text).not.toContain('[DONE]')
    expect(text).toContain('"code":"revoked"')
    expect((await gateway.audited(record => record.event === 'outcome')).outcome).toBe('revoked')
  })

  it('does not make the gateway hold what a slow reader has not read', async () => {
    const fast = await startTinySlm()
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [fast.url],
      config: { listen: { timeouts: { stalled: '1s' } } },
    })
    const socket = await openSocket(gateway.url)
    const body = JSON.stringify({
      model: 'tiny',
      stream: true,
      max_tokens: 200_000,
      ignore_eos: true,
      messages: [{ role: 'user', content: 'x' }],
    })
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.keys.dev}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await once(socket, 'readable')
    // Nothing is read: what the kernels do not take stays with the model server until the gateway gives up.
    await fast.until(stats => stats.aborted === 1)
    expect(fast.stats().generated_tokens).toBeLessThan(150_000)
    socket.destroy()
    await fast.close()
  })

  it('answers a slow client whole when the gateway is told to stop, and then stops', async () => {
    const gateway = await startGateway({ policy: OPEN_POLICY, targets: [slow.url] })
    const response = await chat(gateway, { body: { stream: true, max_tokens: 30, ignore_eos: true } })
    const stopped = gateway.stop()
    expect(await response.text()).toContain('[DONE]')
    expect(await stopped).toBe(0)
    expect(gateway.audit().at(-1)?.event).toBe('gateway.stopped')
  })

  it('ends a stream in its protocol when the time to drain is over', async () => {
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [slow.url],
      config: { listen: { drain: '200ms' } },
    })
    const response = await chat(gateway, { body: long })
    const stopped = gateway.stop()
    const text = await response.text()
    expect(text).not.toContain('[DONE]')
    expect(text).toMatch(/\ndata: \{"error":\{"message":"The gateway is stopping"/)
    expect(await stopped).toBe(0)
    expect(gateway.audit().find(record => record.event === 'outcome')?.outcome).toBe('drained')
  })

  it('tells who still waits for a first byte that the gateway is stopping', async () => {
    slow.setFault('hang')
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [slow.url],
      config: { listen: { drain: '200ms' } },
    })
    const before = slow.stats().requests
    const asked = chat(gateway)
    await slow.until(stats => stats.requests === before + 1)
    const stopped = gateway.stop()
    const response = await asked
    expect([response.status, (await errorOf(response)).code]).toEqual([503, 'overloaded'])
    expect(await stopped).toBe(0)
    expect(gateway.audit().find(record => record.event === 'outcome')?.outcome).toBe('drained')
  })
})
