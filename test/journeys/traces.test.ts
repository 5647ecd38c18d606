/** Traces: what a caller and a target see of them, and what a receiver gets. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "open", "limits": [
	{"name": "per_hour", "key": "all", "unit": "requests", "limit": 100, "window": "1h"},
]} if input.request.model == "tiny"

decision := {"allow": false, "rule": "closed"} if input.request.model != "tiny"
`,
}

/** A target that says which headers reached it. */
let echo: Server
let echoUrl: string
let model: TinySlm
let receiver: OtlpReceiver

beforeAll(async () => {
  echo = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.headers))
  }).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  echoUrl = `http://127.0.0.1:${(echo.address() as { port: number }).port}`
  model = await startTinySlm({ name: 'one' })
})
afterEach(async () => {
  await stopAll()
  await receiver?.close()
})
afterAll(async () => {
  echo.close()
  await model.close()
})

async function reached(
  gateway: RunningGateway,
  headers: Record<string, string>,
): Promise<Record<string, string>> {
  return (await chat(gateway, { headers })).json() as Promise<Record<string, string>>
}

describe('trace context', () => {
  it('goes on to the target with a parent of our own, each time another, and its state', async () => {
    const gateway = await startGateway({ policy: POLICY, targets: [echoUrl] })
    const given = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'rojo=00f067aa0ba902b7' }
    const parents = new Set<string>()
    for (let call = 0; call < 3; call++) {
      const { traceparent = '', tracestate } = await reached(gateway, given)
      expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`))
      expect(tracestate).toBe(given.tracestate)
      parents.add(traceparent)
    }
    parents.add(given.traceparent)
    expect(parents.size).toBe(4)
    expect(gateway.audit().find(({ event }) => event === 'decision')).toMatchObject({ trace_id: TRACE })
  })

  it('that is not valid is replaced, state and all; one that says not to sample is kept so', async () => {
    const gateway = await startGateway({ policy: POLICY, targets: [echoUrl] })
    const bad = await reached(gateway, { traceparent: '00-xyz', tracestate: 'rojo=1' })
    expect(bad.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
    expect(bad.tracestate).toBeUndefined()
    const unsampled = await reached(gateway, { traceparent: `00-${TRACE}-${SPAN}-00` })
    expect(unsampled.traceparent).toMatch(/-00$/)
  })
})

describe('spans', () => {
  async function traced(otlp: object | string, targets = [model.url]): Promise<RunningGateway> {
    return startGateway({ policy: POLICY, targets, config: { telemetry: { otlp, serviceName: 'gate' } } })
  }
  const until = (fits: (spans: readonly ReceivedSpan[]) => boolean): Promise<void> =>
    vi.waitFor(() => expect(fits(receiver.spans())).toBe(true), { timeout: 15_000 })
  const hasRoot = (spans: readonly ReceivedSpan[]): boolean => spans.some(({ kind }) => kind === 2)

  it('tell a request from its head to its target, in words of OpenTelemetry', async () => {
    receiver = await startOtlpReceiver()
    const gateway = await traced({ url: receiver.url, headers: { 'x-tenant': 'sallyport' } })
    const response = await chat(gateway, { headers: { traceparent: `00-${TRACE}-${SPAN}-01` } })
    await response.arrayBuffer()
    await until(hasRoot)
    const spans = receiver.spans()
    expect(receiver.service()).toBe('gate')
    expect(receiver.headers[0]).toMatchObject({ 'x-tenant': 'sallyport' })
    expect(spans.map(({ name }) => name)).toEqual([
      'POST chat',
      'identify',
      'decide',
      'admit',
      'queue',
      'chat tiny',
    ])
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
    const [root, ...inside] = spans
    expect(root).toMatchObject({
      kind: 2,
      parentSpanId: SPAN,
      attributes: {
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'url.path': '/v1/chat/completions',
        'user.id': 'dev',
        'sallyport.outcome': 'completed',
        'sallyport.decision_id': response.headers.get('x-decision-id'),
      },
    })
    for (const span of inside) {
      expect(span.parentSpanId).toBe(root?.spanId)
      expect(BigInt(span.startTimeUnixNano) >= BigInt(root?.startTimeUnixNano ?? 0)).toBe(true)
      expect(BigInt(span.endTimeUnixNano) <= BigInt(root?.endTimeUnixNano ?? 0)).toBe(true)
    }
    expect(inside[1]?.attributes).toMatchObject({ 'sallyport.rule': 'open', 'sallyport.allow': true })
    expect(inside[4]).toMatchObject({
      kind: 3,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'tiny',
        'gen_ai.request.max_tokens': 4,
        'gen_ai.usage.input_tokens': expect.any(Number),
        'gen_ai.usage.output_tokens': expect.any(Number),
        'server.address': '127.0.0.1',
        'server.port': model.port,
        'http.response.status_code': 200,
      },
    })
    expect(JSON.stringify(spans)).not.toContain('hello')
  })

  it('tell where a refusal and a failure came from', async () => {
    receiver = await startOtlpReceiver()
    const gateway = await traced(`${receiver.url}/v1/traces`, ['http://127.0.0.1:9'])
    await (await chat(gateway, { body: { model: 'other' } })).arrayBuffer()
    await (await chat(gateway)).arrayBuffer()
    await until(spans => spans.filter(({ kind }) => kind === 2).length === 2)
    const [refused, failed] = receiver.spans().filter(({ kind }) => kind === 2)
    expect(refused).toMatchObject({
      status: {},
      attributes: {
        'sallyport.outcome': 'refused',
        'error.type': 'forbidden',
        'http.response.status_code': 403,
      },
    })
    expect(failed).toMatchObject({
      status: { code: 2 },
      attributes: { 'error.type': 'upstream_unavailable' },
    })
    const call = receiver.spans().find(({ kind }) => kind === 3)
    expect(call).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'upstream_unavailable' } })
  })

  it('are not made of a trace that its caller does not keep, nor of more than the share that is wanted', async () => {
    receiver = await startOtlpReceiver()
    const gateway = await traced({ url: receiver.url, ratio: 0 })
    await (await chat(gateway, { headers: { traceparent: `00-${TRACE}-${SPAN}-00` } })).arrayBuffer()
    await (await chat(gateway)).arrayBuffer()
    await (await chat(gateway, { headers: { traceparent: `00-${TRACE}-${SPAN}-01` } })).arrayBuffer()
    await until(hasRoot)
    expect(receiver.spans().filter(({ kind }) => kind === 2)).toHaveLength(1)
  })

  it('are sent again where a receiver says that it will pass, and delay nobody', async () => {
    receiver = await startOtlpReceiver()
    receiver.failNext(1, 503)
    const gateway = await traced(receiver.url)
    expect((await chat(gateway)).status).toBe(200)
    await until(hasRoot)
    expect(receiver.headers).toHaveLength(2)
  })

  it('that nobody takes are dropped and counted, and requests go on', async () => {
    receiver = await startOtlpReceiver()
    receiver.failNext(1000, 400)
    const gateway = await traced(receiver.url)
    expect((await chat(gateway)).status).toBe(200)
    expect(await gateway.logged('traces_not_exported')).toMatchObject({ level: 'warn' })
    const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text()
    await expect.poll(metrics).toMatch(/sallyport_spans_total\{outcome="dropped"\} [1-9]/)
  })

  it('that wait are sent when the gateway stops', async () => {
    receiver = await startOtlpReceiver()
    const gateway = await traced(receiver.url)
    await (await chat(gateway)).arrayBuffer()
    expect(await gateway.stop()).toBe(0)
    expect(hasRoot(receiver.spans())).toBe(true)
  })
})
