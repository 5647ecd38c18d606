import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask, call, PEOPLE } from '../support/access.ts'
import { chat, errorOf, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { patientStore, redisServer, startRedis, type TestRedis } from '../support/redis.ts'

const long = { stream: true, max_tokens: 4000, ignore_eos: true }
const soon = { timeout: 10_000, interval: 20 }

const statusOf = async (gateway: RunningGateway, who: string): Promise<number> => {
  const answer = await chat(gateway, { key: gateway.keys[who] ?? who })
  await answer.arrayBuffer()
  return answer.status
}
const approve = (gateway: RunningGateway, who: string, id: string) =>
  call(gateway, who, `POST /-/access/requests/${id}/approve`)
const revoke = (gateway: RunningGateway, who: string, id: string) =>
  call(gateway, who, `DELETE /-/access/grants/${id}`)
/** What both have on record of one request, in the order of time. */
const events = (gateways: readonly RunningGateway[], id: string): string[] =>
  gateways
    .flatMap(gateway => gateway.audit())
    .filter(record => record.access_request === id)
    .sort((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp))
    .map(({ event }) => event)
/** How many requests were ended because their right was. */
const revokedAt = (gateway: RunningGateway): number =>
  gateway.audit().filter(({ event, outcome }) => event === 'outcome' && outcome === 'revoked').length

/** @param crash - What else is killed, and started again, when the gateways are. */
function journeys(storeOf: () => object, crash: () => Promise<void>): void {
  let model: TinySlm
  let slow: TinySlm
  let one: RunningGateway
  let other: RunningGateway
  const start = (folder?: string): Promise<RunningGateway> =>
    startGateway({
      policy: ACCESS_POLICY,
      keys: PEOPLE,
      config: {
        store: storeOf(),
        pools: {
          chat: { models: ['tiny'], targets: [{ url: model.url }] },
          slow: { models: ['slow'], targets: [{ url: slow.url }] },
        },
      },
      ...(folder === undefined ? {} : { folder }),
    })
  beforeAll(async () => {
    model = await startTinySlm()
    slow = await startTinySlm({ models: ['slow'], tokensPerSecond: 5 })
    ;[one, other] = await Promise.all([start(), start()])
  })
  afterAll(async () => {
    await stopAll()
    await Promise.all([model.close(), slow.close()])
  })

  it('lend at both what was asked at one and approved at the other, until either revokes it', async () => {
    const models = ['tiny', 'slow']
    const { id } = (await ask(one, 'dev', { models, ticket: 'A' })).body
    expect((await ask(other, 'dev', { models, ticket: 'A' })).body.id).toBe(id)
    expect((await call(other, 'lea', `GET /-/access/requests/${id}`)).body.state).toBe('pending')
    const waiting = call(one, 'dev', `GET /-/access/requests/${id}?wait=30s`)
    const { grant } = (await approve(other, 'lea', id)).body
    expect((await waiting).body).toMatchObject({ state: 'approved', grant })
    for (const gateway of [other, one]) await expect.poll(() => statusOf(gateway, 'dev'), soon).toBe(200)

    const body = { ...long, model: 'slow' }
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => chat(one, { key: one.keys.dev, body })),
    )
    const leaving = new AbortController()
    const untouched = await chat(one, { key: one.keys.ana, body, signal: leaving.signal })
    expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await revoke(other, 'lou', grant.id)).body).toMatchObject({ state: 'revoked', ended_by: 'lou' })
    expect(await statusOf(other, 'dev')).toBe(403)
    for (const text of await Promise.all(streams.map(stream => stream.text()))) {
      expect(text).toContain('"code":"revoked"')
      expect(text).not.toContain('[DONE]')
    }
    expect(await statusOf(one, 'dev')).toBe(403)
    // Long before they had said all: that would take a quarter of an hour.
    await expect.poll(() => revokedAt(one)).toBe(20)
    expect((await (untouched.body as ReadableStream).getReader().read()).done).toBe(false)
    leaving.abort()
    expect((await revoke(one, 'lea', grant.id)).status).toBe(409)
    expect(events([one, other], id)).toEqual([
      ...['access.requested', 'access.approved', 'access.used', 'access.revoked'],
    ])
  })

  it('approve once, whoever says yes at the same moment at whichever', async () => {
    const { id } = (await ask(one, 'dev', { ticket: 'B' })).body
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, turn) => approve(turn % 2 ? one : other, turn % 3 ? 'lea' : 'lou', id)),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(11).fill(409)])
    expect(events([one, other], id)).toEqual(['access.requested', 'access.approved'])
  })

  it('count two words for what asks for two, and not one of them twice', async () => {
    const { id } = (await ask(one, 'dev', { models: ['secret'] })).body
    const answers = await Promise.all([
      ...[one, other].map(gateway => approve(gateway, 'lea', id)),
      ...[one, other].map(gateway => approve(gateway, 'lou', id)),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 409, 409])
    expect((await call(one, 'dev', `GET /-/access/requests/${id}?wait=10s`)).body.state).toBe('approved')
    expect(events([one, other], id)).toEqual(['access.requested', ...Array(2).fill('access.approved')])
  })

  it('find the first of those who ask the same at the same moment at both', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, turn) => ask(turn % 2 ? one : other, 'dev', { ticket: 'C' })),
    )
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(events([one, other], answers[0]?.body.id)).toEqual(['access.requested'])
  })

  it('are worth twenty uses together where a grant is for twenty', async () => {
    const { id } = (await ask(one, 'deb', { reason: 'twenty times' })).body
    const { grant } = (await approve(one, 'lea', id)).body
    await call(other, 'deb', `GET /-/access/requests/${id}?wait=10s`)
    const statuses = await Promise.all(
      Array.from({ length: 60 }, (_, turn) => statusOf(turn % 2 ? one : other, 'deb')),
    )
    expect(statuses.sort()).toEqual([...Array(20).fill(200), ...Array(40).fill(403)])
    for (const gateway of [one, other]) {
      const state = async () =>
        (await call(gateway, 'deb', 'GET /-/access/grants')).body.grants.find(
          (known: { id: string }) => known.id === grant.id,
        )?.state
      await expect.poll(state, soon).toBe('used_up')
    }
    await expect.poll(() => events([one, other], id).at(-1)).toBe('access.expired')
    expect(events([one, other], id).filter(event => event === 'access.used')).toHaveLength(1)
  })

  it('believe each other’s credentials, until their grant is over', async () => {
    const { token, grant } = (await ask(one, 'ona', { token: true })).body
    await expect.poll(() => statusOf(other, token), soon).toBe(200)
    await revoke(one, 'lea', grant.id)
    expect(await statusOf(one, token)).toBe(401)
    await expect.poll(() => statusOf(other, token), soon).toBe(401)
    const { id } = (await ask(other, 'dev', { token: true })).body
    await approve(one, 'lea', id)
    const shown = await Promise.all(
      [one, other].map(gateway => call(gateway, 'dev', `GET /-/access/requests/${id}?wait=10s`)),
    )
    const tokens = shown.map(({ body }) => body.token).filter(Boolean)
    expect(tokens).toHaveLength(1)
    for (const gateway of [one, other]) await expect.poll(() => statusOf(gateway, tokens[0]), soon).toBe(200)
  })

  it('keep what was approved and what was revoked when everything is killed', async () => {
    const asked = await Promise.all([1, 2, 3].map(number => ask(one, 'ona', { ticket: `${number}` })))
    const grants = asked.map(({ body }) => body.grant.id as string)
    const { id: pending } = (await ask(one, 'dev', { ticket: 'D' })).body
    for (const grant of grants.slice(1)) await revoke(other, 'lea', grant)
    await Promise.all([one.stop('SIGKILL'), other.stop('SIGKILL')])
    await crash()
    ;[one, other] = await Promise.all([start(one.folder), start(other.folder)])
    for (const gateway of [one, other]) {
      const { grants: known } = (await call(gateway, 'lea', 'GET /-/access/grants?all=true')).body
      const states = grants.map(id => known.find((grant: { id: string }) => grant.id === id)?.state)
      expect(states).toEqual(['active', 'revoked', 'revoked'])
      expect((await call(gateway, 'lea', `GET /-/access/requests/${pending}`)).body.state).toBe('pending')
    }
  })
}

describe('two gateways on one SQLite file', () => {
  let file: string
  beforeAll(() => {
    file = path.join(newFolder(), 'store.db')
  })
  journeys(
    () => ({ engine: 'sqlite', path: file }),
    async () => {},
  )
})

/** @param redis - Its own, which is away and comes back. */
function outage(): void {
  let redis: TestRedis
  let model: TinySlm
  let folder: string
  beforeAll(async () => {
    folder = newFolder()
    redis = await startRedis({ folder })
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(async () => {
    await redis.stop('SIGKILL')
    await model.close()
  })

  it('lends nothing that may have been revoked, and takes no question, while it is away', async () => {
    const store = { engine: 'redis', url: redis.url }
    const gateway = await startGateway({
      policy: ACCESS_POLICY,
      targets: [model.url],
      keys: PEOPLE,
      config: { store },
    })
    const { grant } = (await ask(gateway, 'ona')).body
    const { id } = (await ask(gateway, 'dev')).body
    expect(await statusOf(gateway, 'ona')).toBe(200)
    await redis.stop('SIGKILL')
    for (const asked of [
      () => chat(gateway, { key: gateway.keys.ona }),
      () => post(gateway, 'dev', '/-/access/requests', { models: ['tiny'], duration: '1h', reason: 'now' }),
      () => post(gateway, 'lea', `/-/access/requests/${id}/approve`),
    ]) {
      const answer = await asked()
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
      expect((await errorOf(answer)).code).toBe('overloaded')
    }
    // Whoever stands on no grant is not touched.
    expect([await statusOf(gateway, 'ana'), await statusOf(gateway, 'dev')]).toEqual([200, 403])
    redis = await startRedis({ folder, port: Number(new URL(redis.url).port) })
    await expect.poll(() => statusOf(gateway, 'ona'), soon).toBe(200)
    expect((await approve(gateway, 'lea', id)).body.state).toBe('approved')
    expect((await revoke(gateway, 'lea', grant.id)).status).toBe(200)
    expect(await statusOf(gateway, 'ona')).toBe(403)
  })
}

const post = (gateway: RunningGateway, who: string, target: string, body?: object): Promise<Response> =>
  fetch(gateway.url + target, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.keys[who]}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })

// Where there is no Redis to start, that was said before the tests began; CI demands one.
if (redisServer() === undefined) it('needs redis-server', () => expect(process.env.CI).toBeUndefined())
else {
  describe('two gateways on one Redis', () => {
    let redis: TestRedis
    let folder: string
    beforeAll(async () => {
      folder = newFolder()
      redis = await startRedis({ folder })
    })
    afterAll(() => redis.stop('SIGKILL'))
    journeys(
      () => patientStore(redis),
      async () => {
        await redis.stop('SIGKILL')
        redis = await startRedis({ folder, port: Number(new URL(redis.url).port) })
      },
    )
  })
  describe('a gateway whose Redis is away', outage)
}
