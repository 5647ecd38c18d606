import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, runCommand, startGateway, stopAll } from '../support/gateway.ts'

const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "open", "limits": [
	{"name": "requests", "key": input.principal.id, "unit": "requests", "limit": 1000000, "window": "1h"},
	{"name": "tokens", "key": input.principal.id, "unit": "tokens", "limit": 1000000000, "window": "calendar_day"},
	{"name": "streams", "key": input.principal.id, "unit": "concurrency", "limit": 64},
]}
`,
}

interface Left {
  readonly requests: number
  readonly tokens: number
  readonly streams: number
}

const left = async (gateway: RunningGateway, key = gateway.keys.dev): Promise<Left> => {
  const answer = await fetch(`${gateway.url}/-/whoami`, { headers: { authorization: `Bearer ${key}` } })
  const { limits } = (await answer.json()) as { limits: { name: string; remaining: number }[] }
  return Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining])) as unknown as Left
}

describe('a gateway whose store is a file', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const start = (config: Readonly<Record<string, object>> = {}, folder?: string): Promise<RunningGateway> =>
    startGateway({
      policy: POLICY,
      targets: [model.url],
      config: {
        store: { engine: 'sqlite', path: 'state/store.db' },
        pricing: { tiny: { input: 10, output: 30 } },
        ...config,
      },
      ...(folder === undefined ? {} : { folder }),
    })

  it('says so, and is ready', async () => {
    const gateway = await start()
    expect((await gateway.status()).store).toMatchObject({ engine: 'sqlite', ok: true, mode: 'shared' })
    const ready = (await (await fetch(`${gateway.adminUrl}/readyz`)).json()) as { checks: object }
    expect(ready.checks).toMatchObject({ store: true })
  })

  it('knows a key that is created in the store at once, and one that is revoked no longer', async () => {
    const gateway = await start({ identity: { apiKeys: { in: 'store' } } })
    const keys = async (...args: string[]) => {
      const { code, stdout, stderr } = await gateway.command('keys', ...args, '--format', 'json')
      expect([code, stderr]).toEqual([0, ''])
      return JSON.parse(stdout)
    }
    const made = await keys('create', '--principal', 'ana', '--roles', 'a,b', '--team', 't')
    await expect.poll(async () => (await chat(gateway, { key: made.secret })).status).toBe(200)
    const next = await keys('rotate', made.id, '--overlap', '1h')
    await expect.poll(async () => (await chat(gateway, { key: next.secret })).status).toBe(200)
    expect((await chat(gateway, { key: made.secret })).status).toBe(200)
    await keys('revoke', made.id)
    await expect.poll(async () => (await chat(gateway, { key: made.secret })).status).toBe(401)
    await expect
      .poll(async () => (await keys('list')).keys, { interval: 300 })
      .toEqual([
        expect.objectContaining({
          id: made.id,
          state: 'revoked',
          last_used_at: expect.stringMatching(/:00\.000Z$/),
        }),
        expect.objectContaining({
          id: next.id,
          state: 'active',
          last_used_at: expect.stringMatching(/:00\.000Z$/),
        }),
      ])
    const kept = ['store.db', 'store.db-wal'].map(name =>
      readFileSync(path.join(gateway.folder, 'state', name), 'latin1'),
    )
    for (const secret of [made.secret, next.secret]) expect(kept.join('')).not.toContain(secret.slice(-20))
  })

  it('killed under load has counted what its log says was answered, and its leases end', async () => {
    const slow = await startTinySlm({ tokensPerSecond: 300 })
    const first = await startGateway({
      policy: POLICY,
      targets: [slow.url],
      config: { store: { engine: 'sqlite', path: 'store.db' } },
    })
    // What still runs when the gateway is killed, whatever else does.
    const streams = await Promise.all(
      Array.from({ length: 4 }, () =>
        chat(first, { body: { stream: true, max_tokens: 6000, ignore_eos: true } }),
      ),
    )
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    let killed = false
    const clients = Array.from({ length: 16 }, async () => {
      while (!killed)
        await chat(first).then(
          answer => answer.arrayBuffer(),
          () => {},
        )
    })
    await expect
      .poll(() => first.audit().filter(({ event }) => event === 'outcome').length)
      .toBeGreaterThan(60)
    await first.stop('SIGKILL')
    killed = true
    await Promise.all([...clients, ...streams.map(answer => answer.text().catch(() => ''))])
    const answered = first.audit().filter(({ event, usage }) => event === 'outcome' && usage)
    const tokens = answered.reduce((sum, { usage }) => sum + usage.input_tokens + usage.output_tokens, 0)

    const second = await startGateway({
      policy: POLICY,
      targets: [model.url],
      config: { store: { engine: 'sqlite', path: 'store.db' } },
      folder: first.folder,
    })
    const key = first.keys.dev
    await (await chat(second, { key })).arrayBuffer()
    const before = await left(second, key)
    expect(1_000_000 - before.requests).toBeGreaterThan(answered.length)
    expect(1_000_000_000 - before.tokens).toBeGreaterThan(tokens)
    expect(before.streams).toBeLessThanOrEqual(60)
    await expect.poll(async () => (await left(second, key)).streams, { timeout: 20_000 }).toBe(64)
    await slow.close()
  })

  it('tells the usage of all time, by whom, of what and when, also after it was killed', async () => {
    const gateway = await start()
    for (let count = 0; count < 5; count++) await (await chat(gateway)).arrayBuffer()
    await gateway.stop('SIGKILL')
    const outcomes = gateway.audit().filter(({ event }) => event === 'outcome')
    const sum = (member: 'input_tokens' | 'output_tokens') =>
      outcomes.reduce((total, { usage }) => total + usage[member], 0)
    const sums = { requests: 5, input_tokens: sum('input_tokens'), output_tokens: sum('output_tokens') }
    const cost = Math.round((sums.input_tokens * 10 + sums.output_tokens * 30) * 1000) / 1e9
    const usage = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await gateway.command('usage', ...args)
      expect([code, stderr]).toEqual([0, ''])
      return stdout
    }
    const today = new Date().toISOString().slice(0, 10)
    expect(JSON.parse(await usage('--by', 'principal', '--format', 'json')).usage).toEqual([
      { principal: 'dev', ...sums, cost },
    ])
    expect(JSON.parse(await usage('--by', 'day', '--since', today, '--format', 'json'))).toEqual({
      by: 'day',
      since: today,
      usage: [{ day: today, ...sums, cost }],
    })
    expect(await usage('--by', 'model', '--since', '1d', '--format', 'csv')).toBe(
      `model,requests,input_tokens,output_tokens,cost\ntiny,5,${sums.input_tokens},${sums.output_tokens},${cost}\n`,
    )
    expect(await usage('--by', 'team', '--format', 'table')).toMatch(/^TEAM .*\n- +5 /)
    expect((await gateway.command('usage', '--since', 'never')).code).toBe(2)
  })
})

describe('usage in memory', () => {
  afterEach(stopAll)
  it('is told by the gateway', async () => {
    const model = await startTinySlm()
    const gateway = await startGateway({ targets: [model.url], keys: [{ principal: 'ana', team: 'search' }] })
    await (await chat(gateway, { key: gateway.keys.ana })).arrayBuffer()
    await gateway.audited(({ event }) => event === 'outcome')
    const { code, stdout } = await runCommand([
      'usage',
      '--by',
      'team',
      '--format',
      'json',
      '--admin',
      gateway.adminUrl,
    ])
    expect([code, JSON.parse(stdout).usage]).toMatchObject([0, [{ team: 'search', requests: 1 }]])
    const answer = await fetch(`${gateway.adminUrl}/usage?by=model&since=1d`)
    expect(await answer.json()).toMatchObject({ by: 'model', usage: [{ model: 'tiny', requests: 1 }] })
    expect((await fetch(`${gateway.adminUrl}/usage?by=shoe`)).status).toBe(400)
    await model.close()
  })
})

describe('a config', () => {
  afterEach(stopAll)
  it.each([
    ['store_without_url', { store: { engine: 'redis' } }],
    ['keys_in_memory', { identity: { apiKeys: { in: 'store' } } }],
  ])('is refused for %s', async (code, config) => {
    const { prepare, newFolder } = await import('../support/gateway.ts')
    const folder = newFolder()
    prepare(folder, { config })
    const checked = await runCommand(['check', '--format', 'json'], { cwd: folder })
    expect([checked.code, JSON.parse(checked.stdout).findings[0].code]).toEqual([2, code])
  })
})
