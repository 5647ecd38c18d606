/**
 * Whatever happens at once, in an order made by chance: answers, streams that are left half-way or before
 * their first byte, a server that fails and breaks off, and policies that are activated and refused
 * meanwhile. What was admitted never exceeds a limit, and nothing is held when all is quiet.
 */
import { afterEach, expect, it } from 'vitest'
import { startTinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { type Chance, chance } from '../support/random.ts'
import { partsUntilLeft } from '../support/reading.ts'
import { patientStore, redisServer, startRedis } from '../support/redis.ts'

const REQUESTS = Number(process.env.SALLYPORT_TEST_REQUESTS ?? 300)
const [MOST_AT_ONCE, OUTPUT] = [9, 1_000_000]
const LOW = Math.floor(REQUESTS * 0.4)
const HIGH = Math.floor(REQUESTS * 0.6)

const policy = (limit: number, rule: string): Record<string, string> => ({
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "${rule}", "limits": [
	{"name": "requests", "key": "all", "unit": "requests", "limit": ${limit}, "window": "1h"},
	{"name": "output", "key": "all", "unit": "output_tokens", "limit": ${OUTPUT}, "window": "1d"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": ${MOST_AT_ONCE}},
]}
`,
})
const BROKEN = { 'gateway.rego': 'package gateway\n\ndecision := {' }
const EDITIONS = [policy(HIGH, 'high'), BROKEN, policy(LOW, 'low'), policy(LOW + 10, 'middle')]

afterEach(stopAll)

// Where there is no Redis to start, that was said before the tests began.
const ENGINES = ['memory', 'sqlite', ...(redisServer() === undefined ? [] : ['redis'])]

it.each(ENGINES)('a limit in %s holds', { timeout: 120_000 }, async engine => {
  const redis = engine === 'redis' ? await startRedis() : undefined
  const model = await startTinySlm({ tokensPerSecond: 400 })
  const gateway = await startGateway({
    policy: policy(LOW, 'low'),
    targets: [model.url],
    config: {
      store: redis ? patientStore(redis) : { engine, ...(engine === 'sqlite' && { path: 'store.db' }) },
      pools: { chat: { models: ['tiny'], targets: [{ url: model.url }], breaker: { failures: 1000 } } },
    },
  })
  const random = chance(engine.length)
  const statuses: Record<number, number> = {}
  let asked = 0

  async function client(): Promise<void> {
    while (asked < REQUESTS) {
      const turn = ++asked
      if (turn % 40 === 0) model.setFault(random.pick([null, '500:3', 'break:3', 'refuse:4']))
      const status = await ask(gateway, random)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  /** One edition after the other, each once the last was activated or refused. */
  async function author(): Promise<void> {
    for (let turn = 0; turn < EDITIONS.length || asked < REQUESTS; turn++) {
      const before = await attemptsOf(gateway)
      gateway.writePolicy(EDITIONS[turn % EDITIONS.length] as Record<string, string>)
      await expect.poll(() => attemptsOf(gateway)).not.toEqual(before)
    }
  }
  await Promise.all([author(), ...Array.from({ length: 24 }, client)])

  gateway.writePolicy(policy(HIGH, 'last'))
  await expect.poll(() => authorized(gateway)).toMatchObject({ decision: { rule: 'last' } })
  model.setFault(null)
  await model.until(({ in_flight }) => in_flight === 0)
  // What may still be let in by the raised limit is, and no more: a request must know of it first.
  do await (await chat(gateway)).text()
  while ((await left(gateway)).requests)
  const decided = gateway.audit().filter(({ event, http }) => event === 'decision' && !http.status).length
  await expect.poll(() => outcomes(gateway).length).toBe(decided)
  // Who left before anything was sent to a target has cost nothing.
  expect(outcomes(gateway).filter(({ target }) => target !== undefined)).toHaveLength(HIGH)
  expect(model.stats().most_running).toBeGreaterThan(1)
  expect(model.stats().most_running).toBeLessThanOrEqual(MOST_AT_ONCE)
  expect(statuses).toMatchObject({ 200: expect.any(Number), 429: expect.any(Number) })
  expect(new Set(outcomes(gateway).map(({ outcome }) => outcome))).toEqual(
    new Set(['completed', 'client_closed', 'upstream_failed']),
  )
  const used = outcomes(gateway).reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
  await expect
    .poll(() => left(gateway))
    .toEqual({ requests: 0, output: OUTPUT - used, streams: MOST_AT_ONCE })
  expect(new Set((await attemptsOf(gateway)).map(({ outcome }) => outcome))).toEqual(
    new Set(['activated', 'refused']),
  )
  await model.close()
  await redis?.stop('SIGKILL')
})

async function attemptsOf(gateway: RunningGateway): Promise<{ at: string; outcome: string }[]> {
  return (await gateway.status()).policy.attempts
}

/** @returns The status; 0 of a request that was left before there was one. */
async function ask(gateway: RunningGateway, { integer }: Chance): Promise<number> {
  const stream = integer(3) > 0
  const leaving = new AbortController()
  const timer = integer(3) === 0 ? setTimeout(() => leaving.abort(), integer(60)) : undefined
  const body = { stream, max_tokens: 4 + integer(20), ignore_eos: true }
  let status = 0
  try {
    const answer = await chat(gateway, { body, signal: leaving.signal })
    status = answer.status
    for await (const _ of partsUntilLeft(answer, leaving.signal));
  } catch {
    // Left half-way, by one of the two.
  }
  clearTimeout(timer)
  return status
}

async function authorized(gateway: RunningGateway): Promise<unknown> {
  const answer = await fetch(`${gateway.url}/-/authorize`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.keys.dev}`, 'content-type': 'application/json' },
    body: JSON.stringify({ method: 'POST', path: '/v1/chat/completions', body: { model: 'tiny' } }),
  })
  return answer.json()
}

function outcomes(gateway: RunningGateway) {
  return gateway.audit().filter(({ event }) => event === 'outcome')
}

async function left(gateway: RunningGateway): Promise<Record<string, number>> {
  const answer = await fetch(`${gateway.url}/-/whoami`, {
    headers: { authorization: `Bearer ${gateway.keys.dev}` },
  })
  const { limits } = (await answer.json()) as { limits: { name: string; remaining: number }[] }
  return Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]))
}
