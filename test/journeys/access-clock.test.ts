import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { ACCESS_POLICY, ask, PEOPLE } from '../support/access.ts'
import { chat, newFolder, prepare, stopAll } from '../support/gateway.ts'

/** A gateway in this process, whose clock the test sets. */
async function startOnClock(target: string, engine: string) {
  const folder = newFolder()
  const keys = prepare(folder, {
    policy: ACCESS_POLICY,
    targets: [target],
    keys: PEOPLE,
    config: {
      store: { engine, ...(engine === 'sqlite' ? { path: 'store.db' } : {}) },
      audit: { sinks: [{ type: 'file', path: 'audit.jsonl' }] },
    },
  })
  const { config } = loadConfig(path.join(folder, 'gateway.config.json'))
  const clock = { shift: 0 }
  const gateway: Gateway = await createGateway({
    config: config as NonNullable<typeof config>,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    stateFolder: path.join(folder, '.sallyport'),
    now: () => Date.now() + clock.shift,
  })
  return { clock, gateway, place: { url: gateway.url, keys, secrets: new Set<string>() } }
}

describe.each(['memory', 'sqlite'])('a clock that jumps, with the store %s', engine => {
  let model: TinySlm
  let started: Awaited<ReturnType<typeof startOnClock>>
  beforeAll(async () => {
    model = await startTinySlm({ tokensPerSecond: 5 })
  })
  afterEach(async () => {
    await started.gateway.stop({ hurry: true })
    await stopAll()
  })
  afterAll(() => model.close())

  const stream = () =>
    chat(started.place, {
      key: started.place.keys.ona,
      body: { stream: true, max_tokens: 4000, ignore_eos: true },
    })
  const status = async (): Promise<number> =>
    (await chat(started.place, { key: started.place.keys.ona })).status

  it('over the end of a grant has ended it for good, for streams too', async () => {
    started = await startOnClock(model.url, engine)
    const { clock, place } = started
    await ask(place, 'ona')
    const answer = await stream()
    expect(answer.status).toBe(200)
    clock.shift = 7_200_000
    expect(await answer.text()).toContain('"code":"expired"')
    expect(await status()).toBe(403)
    clock.shift = 0
    expect(await status()).toBe(403)
    expect((await ask(place, 'ona')).body.state).toBe('approved')
    expect(await status()).toBe(200)
  })

  it('back gives nobody more time', async () => {
    started = await startOnClock(model.url, engine)
    const { clock, place } = started
    const began = performance.now()
    expect((await ask(place, 'ona', { duration: '4s' })).body.state).toBe('approved')
    const answer = await stream()
    expect(answer.status).toBe(200)
    clock.shift = -7_200_000
    expect(await answer.text()).toContain('"code":"expired"')
    expect(performance.now() - began).toBeGreaterThan(4000)
    expect(await status()).toBe(403)
  })
})
