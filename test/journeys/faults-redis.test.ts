import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask, call, PEOPLE } from '../support/access.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { redisServer, startRedis, type TestRedis } from '../support/redis.ts'

const LIMIT = 100_000
const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "limits": [
	{"name": "requests", "key": "all", "unit": "requests", "limit": ${LIMIT}, "window": "1h"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": 50},
]}
`,
}
const PATIENT = { timeout: 20_000 }

interface Seen {
  readonly status: number
  /** Counted by this gateway alone. */
  readonly local: boolean
}

async function seenBy(gateway: RunningGateway): Promise<Seen> {
  const answer = await chat(gateway)
  await answer.arrayBuffer()
  return { status: answer.status, local: answer.headers.get('x-ratelimit-scope') === 'gateway' }
}

/** Six clients that ask and ask. */
function load(gateway: RunningGateway) {
  let over = false
  const seen: Seen[] = []
  const done = Promise.all(
    Array.from({ length: 6 }, async () => {
      while (!over) {
        const one = await seenBy(gateway).catch(() => undefined)
        if (one) seen.push(one)
        else if (!over) throw new Error('a request was not answered')
      }
    }),
  )
  done.catch(() => {})
  onTestFinished(() => {
    over = true
  })
  return {
    seen,
    /** What has been seen so far is forgotten. */
    next: () => seen.splice(0),
    async stop() {
      over = true
      await done
    },
  }
}

async function left(gateway: RunningGateway): Promise<Record<string, number>> {
  const headers = { authorization: `Bearer ${gateway.keys.dev}` }
  const answer = await fetch(`${gateway.url}/-/whoami`, { headers })
  const { limits } = (await answer.json()) as { limits: { name: string; remaining: number }[] }
  return Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]))
}

/** The Redis of a gateway under load goes wrong, and is well again. */
function faults(): void {
  let model: TinySlm
  let redis: TestRedis
  beforeAll(async () => {
    model = await startTinySlm()
  })
  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await stopAll()
    await redis.stop('SIGKILL')
  })
  afterAll(() => model.close())

  const start = (onFailure: string): Promise<RunningGateway> =>
    startGateway({
      policy: POLICY,
      targets: [model.url],
      config: { store: { engine: 'redis', url: redis.url, onFailure } },
    })
  const restart = async (): Promise<void> => {
    redis = await startRedis({ port: Number(new URL(redis.url).port) })
  }

  /** What it takes to do harm, and to mend it; and whether counts are lost by it. */
  const FAULTS: Readonly<
    Record<string, { harm(): Promise<unknown>; mend(): Promise<unknown>; forgets?: true }>
  > = {
    'that is paused (CLIENT PAUSE)': {
      // It ends by itself: nobody can be asked to end it.
      harm: () => redis.ask('CLIENT PAUSE 9000 ALL'),
      mend: async () => {},
    },
    'that is stopped (SIGSTOP)': {
      harm: async () => redis.process.kill('SIGSTOP'),
      mend: async () => redis.process.kill('SIGCONT'),
    },
    'that is killed, and comes back empty': {
      harm: () => redis.stop('SIGKILL'),
      mend: restart,
      forgets: true,
    },
    'that is full (maxmemory, noeviction)': {
      harm: () => redis.ask('CONFIG SET maxmemory 1'),
      mend: () => redis.ask('CONFIG SET maxmemory 0'),
    },
  }

  describe.each(Object.entries(FAULTS))('%s', (_name, { harm, mend, forgets }) => {
    it.each(['refuse', 'local'])('under load, on failure %s', async onFailure => {
      const gateway = await start(onFailure)
      const clients = load(gateway)
      await expect.poll(() => clients.seen.length, PATIENT).toBeGreaterThan(50)
      await harm()
      const [mode, status] = onFailure === 'local' ? ['local', 200] : ['refusing', 503]
      await expect.poll(async () => (await gateway.status()).store.mode, PATIENT).toBe(mode)
      const before = clients.next()
      await expect.poll(() => clients.seen.length, PATIENT).toBeGreaterThan(50)
      const during = clients.next().filter((_, index) => index >= 6)
      expect([...new Set(during.map(seen => seen.status))]).toEqual([status])
      if (onFailure === 'local') expect(during.every(({ local }) => local)).toBe(true)
      for (let look = 0; look < 5; look++)
        expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
      await mend()
      await expect.poll(async () => (await gateway.status()).store.mode, PATIENT).toBe('shared')
      const between = clients.next()
      await expect.poll(() => clients.seen.length, PATIENT).toBeGreaterThan(50)
      const after = clients.next()
      await clients.stop()
      expect(after.slice(6).every(({ status, local }) => status === 200 && !local)).toBe(true)
      // Nobody is told anything else, and what was answered was counted.
      const all = [...before, ...during, ...between, ...after, ...clients.seen]
      expect([...new Set(all.map(seen => seen.status))].filter(one => one !== 200)).toEqual(
        onFailure === 'local' ? [] : [503],
      )
      const answered = all.filter(seen => seen.status === 200).length
      await expect.poll(async () => (await left(gateway)).streams, PATIENT).toBe(50)
      const counted = LIMIT - ((await left(gateway)).requests as number)
      if (!forgets) expect(counted).toBeGreaterThanOrEqual(answered)
      expect(counted).toBeGreaterThanOrEqual(after.length - 6)
      // Told when it went and when it came back, and not again and again.
      const told = gateway.log().filter(({ event }) => event.startsWith('store_'))
      expect(told.length).toBeLessThanOrEqual(6)
      expect(gateway.log().filter(({ event }) => event === 'fault')).toEqual([])
    })
  })

  it('that comes back empty revives no grant, and ends those it does not know', async () => {
    const gateway = await startGateway({
      policy: ACCESS_POLICY,
      keys: PEOPLE,
      targets: [model.url],
      config: { store: { engine: 'redis', url: redis.url } },
    })
    const granted = await ask(gateway, 'ona')
    expect(granted.body.state).toBe('approved')
    expect((await chat(gateway, { key: gateway.keys.ona })).status).toBe(200)
    await redis.stop('SIGKILL')
    await expect
      .poll(async () => (await chat(gateway, { key: gateway.keys.ona })).status, PATIENT)
      .not.toBe(200)
    await restart()
    await expect.poll(async () => (await gateway.status()).store.ok, PATIENT).toBe(true)
    await expect
      .poll(async () => (await call(gateway, 'ona', 'GET /-/access/grants')).body.grants, PATIENT)
      .toEqual([])
    const refused = await chat(gateway, { key: gateway.keys.ona })
    expect([refused.status, JSON.stringify(await refused.json())]).toEqual([
      403,
      expect.stringContaining('access_required'),
    ])
  })
}

// Where there is no Redis to start, that was said before the tests began; CI demands one.
if (redisServer() === undefined) it('needs redis-server', () => expect(process.env.CI).toBeUndefined())
else describe('a Redis', faults)
