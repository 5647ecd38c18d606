import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  chat,
  errorOf,
  type GatewayOptions,
  OPEN_POLICY,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { startUpstream, type Upstream, type UpstreamCall, type UpstreamOptions } from '../support/upstream.ts'

describe('a target', () => {
  const upstreams: Upstream[] = []
  afterEach(async () => {
    await stopAll()
    for (const upstream of upstreams.splice(0)) await upstream.close()
  })

  async function upstream(
    onCall: (call: UpstreamCall) => void,
    options: UpstreamOptions = {},
  ): Promise<Upstream> {
    const made = await startUpstream({ onCall, ...options })
    upstreams.push(made)
    return made
  }
  const good = (text: string, options?: UpstreamOptions) => upstream(call => call.answer(text), options)

  const gatewayOf = (pool: object, options: GatewayOptions = {}): Promise<RunningGateway> =>
    startGateway({ config: { pools: { chat: { models: ['tiny'], ...pool } } }, ...options })
  const of = (...targets: Upstream[]) => ({ targets: targets.map(({ url }) => ({ url })) })

  const said = async (response: Response): Promise<string> =>
    ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content

  it.each([429, 502, 503])(
    'that answers %i did not process the request: another one gets it, once',
    async status => {
      const busy = await upstream(call => call.fail(status, { 'retry-after': '30' }))
      const other = await good('other')
      const gateway = await gatewayOf({ ...of(busy, other), balance: 'round_robin' })
      for (let request = 0; request < 6; request++) expect(await said(await chat(gateway))).toBe('other')
      // It asked to be left alone, and was.
      expect([busy.calls.length, other.calls.length]).toEqual([1, 6])
      expect((await gateway.status()).pools.chat.targets[0]).toMatchObject({ healthy: false })
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
      expect(metrics).toContain('sallyport_retries_total{pool="chat",reason="status"} 1')
      expect(metrics).toContain(`sallyport_target_up{pool="chat",target="${busy.url}"} 0`)
    },
  )

  it('that answers 500 may have processed it: nobody else is asked', async () => {
    const broken = await upstream(call => call.fail(500))
    const gateway = await gatewayOf({
      targets: [{ url: broken.url }, { url: (await good('other')).url, weight: 0.001 }],
    })
    const response = await chat(gateway)
    expect([response.status, (await errorOf(response)).code]).toEqual([502, 'upstream_unavailable'])
    expect(broken.calls).toHaveLength(1)
  })

  it('that resets the connection before a byte is passed over for the next, and never asked twice', async () => {
    const resets = await upstream(call => call.request.socket.resetAndDestroy())
    const alsoResets = await upstream(call => call.request.socket.resetAndDestroy())
    const gateway = await gatewayOf({ ...of(resets, alsoResets), retry: { attempts: 5, budget: 1 } })
    const response = await chat(gateway)
    expect([response.status, (await errorOf(response)).code]).toEqual([502, 'upstream_unavailable'])
    expect([resets.calls.length, alsoResets.calls.length]).toEqual([1, 1])
  })

  it('that is the only one has its 429 passed on with its Retry-After, and its 503 replaced', async () => {
    let status = 429
    const busy = await upstream(call => call.fail(status, { 'retry-after': '7' }))
    const gateway = await gatewayOf(of(busy))
    const limited = await chat(gateway)
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7'])
    status = 503
    const overloaded = await chat(gateway)
    expect([overloaded.status, overloaded.headers.get('retry-after')]).toEqual([502, '7'])
    expect((await errorOf(overloaded)).code).toBe('upstream_unavailable')
    expect(busy.calls).toHaveLength(2)
  })

  it('that is the only one and does not say when to come back is said to want a second', async () => {
    const busy = await upstream(call => call.fail(429))
    const limited = await chat(await gatewayOf(of(busy)))
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1'])
    expect(await limited.text()).toBe('secret details')
  })

  it('that fails again and again is left alone by its breaker, and tried with one request after', async () => {
    let broken = true
    const flaky = await upstream(call => (broken ? call.fail(500) : call.answer('well')))
    const gateway = await gatewayOf({ ...of(flaky), breaker: { failures: 3, openFor: '4s' } })
    for (let request = 0; request < 6; request++) expect((await chat(gateway)).status).toBe(502)
    expect(flaky.calls).toHaveLength(3)
    expect((await gateway.status()).pools.chat.targets[0]).toMatchObject({ breaker: 'open', healthy: false })
    broken = false
    await expect.poll(async () => (await chat(gateway)).status).toBe(200)
    expect((await gateway.status()).pools.chat.targets[0]).toMatchObject({ breaker: 'closed', failures: 0 })
  })

  it('is found out by its health endpoint, without a request that fails, and taken back', async () => {
    let well = true
    const sick = await good('sick', {
      onGet: (_request, response) => void response.writeHead(well ? 200 : 503).end('{}'),
    })
    const other = await good('other')
    const gateway = await gatewayOf({ ...of(sick, other), health: { interval: '100ms' } })
    const health = async () => (await gateway.status()).pools.chat.targets[0].healthy
    expect(await health()).toBe(true)
    well = false
    await expect.poll(health).toBe(false)
    for (let request = 0; request < 5; request++) expect(await said(await chat(gateway))).toBe('other')
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
    well = true
    await expect.poll(health).toBe(true)
    expect(sick.calls).toHaveLength(0)
  })

  it('without a health endpoint is well as long as it answers', async () => {
    const asked: string[] = []
    const plain = await good('plain', {
      onGet: (request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(request.url === '/v1/models' ? 200 : 404).end('{}')
      },
    })
    const gateway = await gatewayOf({ ...of(plain), health: { interval: '50ms' } })
    await expect.poll(() => asked.length).toBeGreaterThan(4)
    expect(asked.slice(0, 3)).toEqual(['/health', '/v1/models', '/v1/models'])
    expect((await gateway.status()).pools.chat.targets[0].healthy).toBe(true)
    await plain.close()
    await expect.poll(async () => (await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
  })

  it('of another pool answers when the first one that the policy names cannot', async () => {
    const cpu = await good('cpu')
    const gateway = await startGateway({
      policy: { 'gateway.rego': 'package gateway\n\ndecision := {"allow": true, "pools": ["gpu", "cpu"]}\n' },
      config: {
        pools: {
          gpu: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] },
          cpu: { models: ['small'], ...of(cpu) },
        },
      },
    })
    for (let request = 0; request < 3; request++) expect(await said(await chat(gateway))).toBe('cpu')
    expect(await gateway.audited(record => record.event === 'outcome')).toMatchObject({
      pool: 'cpu',
      target: cpu.url,
    })
  })

  it('of another pool answers when the queue of the first one is full', async () => {
    const gpu = await startUpstream()
    upstreams.push(gpu)
    const cpu = await good('cpu')
    const gateway = await startGateway({
      policy: { 'gateway.rego': 'package gateway\n\ndecision := {"allow": true, "pools": ["gpu", "cpu"]}\n' },
      config: {
        pools: {
          gpu: { models: ['tiny'], targets: [{ url: gpu.url, slots: 1 }], queue: { max: 0 } },
          cpu: { models: ['small'], ...of(cpu) },
        },
      },
    })
    const held = chat(gateway)
    await gpu.came(1)
    expect(await said(await chat(gateway))).toBe('cpu')
    gpu.calls[0]?.answer('gpu')
    expect(await said(await held)).toBe('gpu')
  })

  it('that closed a kept connection meanwhile gets the request over a new one', async () => {
    const shy = await good('shy')
    const gateway = await gatewayOf({ ...of(shy), retry: { attempts: 0, budget: 0 } })
    await Promise.all(Array.from({ length: 8 }, async () => (await chat(gateway)).arrayBuffer()))
    await shy.close()
    const again = await startUpstream({ port: shy.port, onCall: call => call.answer('again') })
    upstreams.push(again)
    // Eight connections that nobody told the gateway about are gone; not one request may notice.
    const answers = await Promise.all(Array.from({ length: 8 }, async () => said(await chat(gateway))))
    expect(answers).toEqual(Array(8).fill('again'))
  })

  it('that goes with a new config ends what it has, and what waited for it goes to those that stay', async () => {
    const leaving = await startUpstream()
    upstreams.push(leaving)
    const staying = await good('staying')
    const gateway = await gatewayOf({ targets: [{ url: leaving.url, slots: 1 }] })
    const running = chat(gateway)
    await leaving.came(1)
    const waiting = chat(gateway)
    await expect.poll(async () => (await gateway.status()).pools.chat.queued).toBe(1)
    const file = path.join(gateway.folder, 'gateway.config.json')
    const config = JSON.parse(readFileSync(file, 'utf8'))
    config.pools.chat.targets = [{ url: staying.url }]
    writeFileSync(file, JSON.stringify(config))
    expect(await said(await waiting)).toBe('staying')
    leaving.calls[0]?.answer('leaving')
    expect(await said(await running)).toBe('leaving')
  })

  it('is never shown with the credential in its URL, and is sent it', async () => {
    const secret = await good('secret')
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [secret.url.replace('http://', 'http://user:pass%21@')],
    })
    expect((await chat(gateway)).status).toBe(200)
    expect(secret.calls[0]?.request.headers.authorization).toBe(`Basic ${btoa('user:pass!')}`)
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    const outcome = await gateway.audited(record => record.event === 'outcome')
    const shown = JSON.stringify([await gateway.status(), metrics, outcome, gateway.log()])
    expect(shown).toContain(secret.url)
    expect(shown).not.toContain('pass')
  })

  it('may answer so much and no more, for so long and no longer', async () => {
    const endless = await upstream(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write(`data: {"x":"${'y'.repeat(100)}"}\n\n`), 5)
      response.on('close', () => clearInterval(timer))
    })
    const gateway = await gatewayOf({ ...of(endless), answer: { maxBytes: '2KB' } })
    const text = await (await chat(gateway, { body: { stream: true } })).text()
    expect(text.length).toBeLessThan(2300)
    expect(text).toContain('"code":"upstream_unavailable"')
    const file = path.join(gateway.folder, 'gateway.config.json')
    const config = JSON.parse(readFileSync(file, 'utf8'))
    config.pools.chat.answer = { maxDuration: '300ms' }
    writeFileSync(file, JSON.stringify(config))
    await gateway.logged('config_applied')
    expect(await (await chat(gateway, { body: { stream: true } })).text()).toContain('"error"')
    expect((await gateway.status()).pools.chat.targets[0]).toMatchObject({ healthy: true, in_flight: 0 })
  })
})
