import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { patientStore, redisServer, startRedis, type TestRedis } from '../support/redis.ts'

const limits = (...rules: string[]): Record<string, string> => ({
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "open", "limits": [${rules.join(', ')}]}
`,
})
const requests = (limit: number): string =>
  `{"name": "requests", "key": "all", "unit": "requests", "limit": ${limit}, "window": "1h"}`
const streams = (limit: number): string =>
  `{"name": "streams", "key": "all", "unit": "concurrency", "limit": ${limit}}`

/** What is left, by name of the limit. */
async function left(gateway: RunningGateway, key = gateway.keys.dev): Promise<Record<string, number>> {
  const answer = await fetch(`${gateway.url}/-/whoami`, { headers: { authorization: `Bearer ${key}` } })
  const { limits = [] } = (await answer.json()) as { limits?: { name: string; remaining: number }[] }
  return Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]))
}

/** Asks until it is told to stop. @returns How often each status was answered. */
function clients(count: number, ask: () => Promise<number | undefined>) {
  const statuses: Record<number, number> = {}
  const done = Promise.all(
    Array.from({ length: count }, async () => {
      for (let status = await ask(); status !== undefined; status = await ask())
        statuses[status] = (statuses[status] ?? 0) + 1
    }),
  )
  return { statuses, done }
}

const statusOf = async (answering: Promise<Response>): Promise<number> => {
  const answer = await answering.catch(() => undefined)
  await answer?.arrayBuffer().catch(() => {})
  return answer?.status ?? 0
}

const grantsOf = ({ url, keys }: RunningGateway): Promise<Response> =>
  fetch(`${url}/-/access/grants`, { headers: { authorization: `Bearer ${keys.dev}` } })

function journeys(): void {
  let model: TinySlm
  let redis: TestRedis
  beforeAll(async () => {
    model = await startTinySlm()
    redis = await startRedis()
  })
  afterEach(async () => {
    await stopAll()
    await redis.ask('FLUSHALL')
  })
  afterAll(async () => {
    await redis.stop('SIGKILL')
    await model.close()
  })

  const start = (policy: Record<string, string>, config: Readonly<Record<string, object>> = {}) =>
    startGateway({
      policy,
      targets: [model.url],
      config: { store: patientStore(redis), ...config },
    })
  const pair = (policy: Record<string, string>, config?: Readonly<Record<string, object>>) =>
    Promise.all([start(policy, config), start(policy, config)])

  it('are over no limit, whatever 64 clients ask of both', { timeout: 1_800_000 }, async () => {
    const total = Number(process.env.SALLYPORT_TEST_REQUESTS ?? 3000)
    const [limit, most] = [Math.floor(total * 0.1), 12]
    const slow = await startTinySlm({ tokensPerSecond: 1000 })
    const config = { store: patientStore(redis) }
    const options = { policy: limits(requests(limit), streams(most)), targets: [slow.url], config }
    const gateways = await Promise.all([startGateway(options), startGateway(options)])
    let [asked, served] = [0, 0]
    const { statuses, done } = clients(64, async () => {
      // Most are refused for the streams that run: so often, and until the other limit is reached.
      if (asked >= total && served >= limit) return undefined
      const gateway = gateways[asked++ % 2] as RunningGateway
      const status = await statusOf(chat(gateway, { body: { max_tokens: 2 } }))
      if (status === 200) served++
      return status
    })
    await done
    expect(statuses).toEqual({ 200: limit, 429: asked - limit })
    const reached = slow.stats()
    expect(reached.requests).toBe(limit)
    expect(reached.most_running).toBeLessThanOrEqual(most)
    for (const gateway of gateways)
      await expect.poll(() => left(gateway)).toEqual({ requests: 0, streams: most })
    if (process.env.SALLYPORT_TEST_REQUESTS) console.log({ limit, most, statuses, reached })
    await slow.close()
  })

  it('know a key that is created with either, and one that is revoked no longer', async () => {
    const [one, other] = await pair(limits(), { identity: { apiKeys: { in: 'store' } } })
    const created = await one.command('keys', 'create', '--principal', 'ana', '--format', 'json')
    const { id, secret } = JSON.parse(created.stdout)
    for (const gateway of [one, other])
      await expect.poll(() => statusOf(chat(gateway, { key: secret }))).toBe(200)
    await other.command('keys', 'revoke', id)
    for (const gateway of [one, other])
      await expect.poll(() => statusOf(chat(gateway, { key: secret }))).toBe(401)
  })

  it('sum up the usage of both', async () => {
    const gateways = await pair(limits())
    for (const gateway of gateways) expect(await statusOf(chat(gateway))).toBe(200)
    const usage = async () => {
      const { stdout } = await gateways[0].command('usage', '--by', 'principal', '--format', 'json')
      return JSON.parse(stdout).usage
    }
    await expect.poll(usage).toMatchObject([{ principal: 'dev', requests: 2 }])
  })

  it('have the leases of one that was killed within their time', async () => {
    const slow = await startTinySlm({ tokensPerSecond: 50 })
    const policy = limits(streams(3))
    const [one, other] = await Promise.all(
      [slow, model].map(({ url }) =>
        startGateway({ policy, targets: [url], config: { store: patientStore(redis) } }),
      ),
    )
    const body = { stream: true, max_tokens: 5000, ignore_eos: true }
    const running = await Promise.all([1, 2, 3].map(() => chat(one as RunningGateway, { body })))
    expect(running.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(await statusOf(chat(other as RunningGateway))).toBe(429)
    await one?.stop('SIGKILL')
    expect(await statusOf(chat(other as RunningGateway))).toBe(429)
    await expect
      .poll(() => statusOf(chat(other as RunningGateway)), { timeout: 20_000, interval: 200 })
      .toBe(200)
    await slow.close()
  })
}

/** A Redis of its own, which goes and comes back. */
function outages(): void {
  let model: TinySlm
  let redis: TestRedis
  let folder: string
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(async () => {
    await stopAll()
    await redis.stop('SIGKILL')
  })
  afterAll(() => model.close())

  const start = async (policy: Record<string, string>, store: object = {}): Promise<RunningGateway> => {
    return startGateway({
      policy,
      targets: [model.url],
      config: { store: { engine: 'redis', url: redis.url, ...store } },
    })
  }
  const startOwnRedis = async (): Promise<void> => {
    folder = newFolder()
    redis = await startRedis({ folder })
  }
  const restart = async (): Promise<void> => {
    const port = Number(new URL(redis.url).port)
    redis = await startRedis({ port, folder })
  }

  it('refuses what is limited at once, and lets in again what fits, without a restart', async () => {
    await startOwnRedis()
    const gateway = await start(limits(requests(300), streams(4)))
    let over = false
    const { statuses, done } = clients(16, async () => (over ? undefined : statusOf(chat(gateway))))
    await expect.poll(() => statuses[200] ?? 0).toBeGreaterThan(50)
    await redis.stop()
    const refused = await chat(gateway)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect((await errorOf(refused)).code).toBe('overloaded')
    expect((await gateway.status()).store).toMatchObject({ ok: false, mode: 'refusing' })
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
    await restart()
    await expect.poll(async () => (await gateway.status()).store.mode).toBe('shared')
    await expect.poll(() => statuses[429] ?? 0, { timeout: 20_000 }).toBeGreaterThan(200)
    over = true
    await done
    expect(Object.keys(statuses).sort()).toEqual(['200', '429', '503'])
    expect(statuses[200]).toBeLessThanOrEqual(300)
    await expect.poll(() => left(gateway)).toMatchObject({ streams: 4 })
  })

  it('that hangs is noticed as one that is gone', async () => {
    await startOwnRedis()
    const gateway = await start(limits(requests(300)))
    expect(await statusOf(chat(gateway))).toBe(200)
    redis.process.kill('SIGSTOP')
    expect(await statusOf(chat(gateway))).toBe(503)
    redis.process.kill('SIGCONT')
    await expect.poll(() => statusOf(chat(gateway))).toBe(200)
    // What was asked while it hung was refused, and has cost nothing.
    await expect.poll(() => left(gateway)).toEqual({ requests: 298 })
  })

  it('leaves each gateway its share, which counts when it is back', async () => {
    await startOwnRedis()
    const policy = limits(requests(40), streams(9))
    const [one, other] = await Promise.all([
      start(policy, { onFailure: 'local' }),
      start(policy, { onFailure: 'local' }),
    ])
    for (const gateway of [one, other])
      await expect.poll(async () => (await gateway.status()).store.gateways).toBe(2)
    for (let count = 0; count < 10; count++) expect(await statusOf(chat(one))).toBe(200)
    expect(await statusOf(chat(other))).toBe(200)
    await redis.stop()
    const first = await chat(one)
    await first.arrayBuffer()
    expect([first.status, first.headers.get('x-ratelimit-scope')]).toEqual([200, 'gateway'])
    expect((await one.status()).store).toMatchObject({ ok: false, mode: 'local', gateways: 2 })
    const metrics = await (await fetch(`${one.adminUrl}/metrics`)).text()
    expect(metrics).toContain('sallyport_store_mode{mode="local"} 1')
    expect(metrics).toContain('sallyport_store_up{engine="redis"} 0')
    // One after the other: at once, most would be refused for their share of the streams.
    const statuses: number[] = []
    for (let turn = 0; turn < 60; turn++) statuses.push(await statusOf(chat(turn % 2 ? one : other)))
    const admitted = 11 + 1 + statuses.filter(status => status === 200).length
    expect(statuses).toContain(429)
    expect(admitted).toBeGreaterThan(20)
    expect(admitted).toBeLessThanOrEqual(40)
    await restart()
    for (const gateway of [one, other])
      await expect.poll(async () => (await gateway.status()).store.mode).toBe('shared')
    const last = await chat(one)
    expect(last.headers.get('x-ratelimit-scope')).toBeNull()
    const all = admitted + (last.status === 200 ? 1 : 0)
    await expect.poll(() => left(one)).toEqual({ requests: 40 - all, streams: 9 })
  })

  it('may come later than the gateway', async () => {
    await startOwnRedis()
    await redis.stop()
    const gateway = await start(limits(requests(5)))
    expect(await statusOf(chat(gateway))).toBe(503)
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
    // That there are none is not known.
    expect((await grantsOf(gateway)).status).toBe(503)
    await restart()
    await expect.poll(() => statusOf(chat(gateway))).toBe(200)
    await expect.poll(() => statusOf(grantsOf(gateway))).toBe(200)
    expect(await (await grantsOf(gateway)).json()).toEqual({ grants: [] })
  })
}

// Where there is no Redis to start, that was said before the tests began; CI demands one.
if (redisServer() === undefined) it('needs redis-server', () => expect(process.env.CI).toBeUndefined())
else {
  describe('two gateways on one Redis', journeys)
  describe('a Redis', outages)
}
