import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  errorOf,
  newFolder,
  prepare,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

describe('operations', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm({ name: 'one' })
  })
  afterEach(async () => {
    model.setFault(null)
    await stopAll()
  })
  afterAll(() => model.close())

  const editConfig = (
    gateway: RunningGateway,
    change: (config: Record<string, Record<string, unknown>>) => void,
  ): void => {
    const file = path.join(gateway.folder, 'gateway.config.json')
    const config = JSON.parse(readFileSync(file, 'utf8'))
    change(config)
    writeFileSync(file, JSON.stringify(config, null, 2))
  }

  const targetOf = async (gateway: RunningGateway): Promise<string | null> => {
    const response = await chat(gateway)
    await response.arrayBuffer()
    return response.headers.get('x-tiny-slm')
  }

  describe('keys', () => {
    it('are made, listed, used and revoked without a restart, and kept only as hashes', async () => {
      const gateway = await startGateway({ targets: [model.url], keys: [] })
      await gateway.logged('keys_loaded')
      const created = await gateway.command(
        'keys',
        'create',
        '--principal',
        'new',
        '--roles',
        'a,b',
        '--team',
        't',
        '--expires',
        '30d',
        '--format',
        'json',
      )
      const { id, secret, ...key } = JSON.parse(created.stdout)
      expect(key).toMatchObject({ principal: 'new', roles: ['a', 'b'], team: 't' })
      expect(Date.parse(key.expires_at) - Date.now()).toBeGreaterThan(29 * 86_400_000)
      await gateway.logged('keys_loaded')
      expect((await chat(gateway, { key: secret })).status).toBe(200)
      expect(readFileSync(path.join(gateway.folder, 'keys.json'), 'utf8')).not.toContain(secret)
      const listed = await gateway.command('keys', 'list', '--format', 'json')
      expect(JSON.parse(listed.stdout).keys).toMatchObject([{ id, principal: 'new', state: 'active' }])
      expect(listed.stdout).not.toContain('hash')

      expect((await gateway.command('keys', 'revoke', id)).code).toBe(0)
      await gateway.logged('keys_loaded')
      const refused = await chat(gateway, { key: secret })
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
        401,
        'Bearer realm="sallyport", error="invalid_token"',
      ])
      expect((await gateway.command('keys', 'revoke', 'k_0000000000')).code).toBe(1)
    })

    it('that have expired are refused, and a key file that is broken changes nothing', async () => {
      const gateway = await startGateway({
        targets: [model.url],
        keys: [{ principal: 'dev' }, { principal: 'old', expires_at: '2020-01-01T00:00:00Z' }],
      })
      expect((await chat(gateway, { key: gateway.keys.old })).status).toBe(401)
      writeFileSync(path.join(gateway.folder, 'keys.json'), '{"keys": [')
      await gateway.logged('keys_refused')
      expect((await chat(gateway)).status).toBe(200)
    })

    it('that are guessed too often from one address are answered 429, while good ones pass', async () => {
      const gateway = await startGateway({
        targets: [model.url],
        config: { limits: { unauthenticated: { limit: 3, window: '1h' } } },
      })
      const statuses: number[] = []
      for (let attempt = 0; attempt < 5; attempt++)
        statuses.push((await chat(gateway, { key: 'wrong' })).status)
      expect(statuses).toEqual([401, 401, 401, 429, 429])
      const limited = await chat(gateway, { key: 'wrong' })
      expect((await errorOf(limited)).code).toBe('rate_limited')
      expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(3000)
      expect((await chat(gateway)).status).toBe(200)
    })
  })

  it('lets callers without a credential in only under the name that the config gives them', async () => {
    const policy = {
      'gateway.rego':
        'package gateway\n\ndecision := {"allow": input.principal.roles == ["guest"], "reasons": [input.principal.id]}\n',
    }
    const gateway = await startGateway({
      policy,
      targets: [model.url],
      config: { identity: { anonymous: { id: 'visitor', roles: ['guest'] } } },
    })
    expect((await chat(gateway, { key: '' })).status).toBe(200)
    expect((await chat(gateway, { key: 'wrong' })).status).toBe(401)
    expect((await chat(gateway)).status).toBe(403)
  })

  describe('the config', () => {
    it('changes pools without a restart, and in-flight counts stay with the target', async () => {
      const other = await startTinySlm({ name: 'two' })
      const gateway = await startGateway({ targets: [model.url] })
      expect(await targetOf(gateway)).toBe('one')
      editConfig(gateway, config => {
        config.pools = { chat: { models: ['tiny'], targets: [{ url: other.url }] } }
      })
      await gateway.logged('config_applied')
      expect(await targetOf(gateway)).toBe('two')
      await other.close()
    })

    it('that is invalid changes nothing and is reported with its line', async () => {
      const gateway = await startGateway({ targets: [model.url] })
      editConfig(gateway, config => {
        config.poools = {}
      })
      const refused = await gateway.logged('config_refused')
      expect(refused.diagnostics).toMatchObject([{ code: 'config_unknown_key' }])
      expect(JSON.stringify(refused)).toContain('did you mean \\"pools\\"')
      expect((await chat(gateway)).status).toBe(200)
    })

    it('says which changes need a restart', async () => {
      const gateway = await startGateway({ targets: [model.url] })
      editConfig(gateway, config => {
        config.listen = { port: 1 }
      })
      expect((await gateway.logged('config_needs_restart')).sections).toEqual(['listen'])
    })

    it.each([
      ['has an unknown key', { extra: {} }, 'config_unknown_key'],
      ['names what is not built yet', { telemetry: { zipkin: 'x' } }, 'config_unknown_key'],
      [
        'opens the admin listener to others without a token',
        { admin: { host: '0.0.0.0' } },
        'admin_without_token',
      ],
      ['uses a variable that is not set', { policy: { path: `\${NOT_SET_ANYWHERE}` } }, 'config_variable'],
    ])('that %s ends serve and check with 2', async (_name, config, code) => {
      const folder = newFolder()
      prepare(folder, { config })
      for (const command of ['serve', 'check']) {
        const result = await runCommand([command], { cwd: folder })
        expect([result.code, result.stdout.includes(code)]).toEqual([2, true])
      }
    })
  })

  describe('upstreams', () => {
    it('that refuse connections are passed over within the request, and taken up again', async () => {
      const flaky = await startTinySlm({ name: 'two' })
      const { port } = flaky
      const gateway = await startGateway({ targets: [flaky.url, model.url] })
      await flaky.close()
      for (let request = 0; request < 10; request++) expect(await targetOf(gateway)).toBe('one')
      expect((await gateway.status()).pools.chat.targets[0].failures).toBeGreaterThan(0)
      const back = await startTinySlm({ name: 'two', port })
      const seen = new Set<string | null>()
      while (!seen.has('two')) seen.add(await targetOf(gateway))
      expect((await gateway.status()).pools.chat.targets[0]).toMatchObject({ healthy: true, failures: 0 })
      await back.close()
    })

    it('that are all gone are a 502 that tells nothing of where they were', async () => {
      const gateway = await startGateway({ targets: ['http://127.0.0.1:9'] })
      const response = await chat(gateway)
      const text = await response.clone().text()
      expect([response.status, (await errorOf(response)).code]).toEqual([502, 'upstream_unavailable'])
      expect(text).not.toContain('127.0.0.1')
      expect(gateway.audit().find(record => record.event === 'outcome')).toMatchObject({
        outcome: 'upstream_failed',
        http: { status: 502 },
        code: 'upstream_unavailable',
      })
    })

    it('that fail have their 5xx replaced, and their 4xx passed on', async () => {
      const gateway = await startGateway({ targets: [model.url] })
      model.setFault('500')
      const failed = await chat(gateway)
      expect([failed.status, (await errorOf(failed)).code]).toEqual([502, 'upstream_unavailable'])
      model.setFault(null)
      const bad = await chat(gateway, { body: { messages: 'none' } })
      expect(bad.status).toBe(400)
      expect(bad.headers.get('x-tiny-slm')).toBe('one')
    })

    it('that do not answer in time are a 504', async () => {
      model.setFault('hang')
      const pools = {
        chat: { models: ['tiny'], targets: [{ url: model.url }], timeouts: { firstByte: '200ms' } },
      }
      const gateway = await startGateway({ config: { pools } })
      const response = await chat(gateway)
      expect([response.status, (await errorOf(response)).code]).toEqual([504, 'upstream_timeout'])
    })

    it('get the model and the ceiling that the policy wrote', async () => {
      const policy = {
        'gateway.rego':
          'package gateway\n\ndecision := {"allow": true, "rewrite": {"model": "tiny", "max_tokens": 3, "headers": {"set": {"x-team": "search", "authorization": "Bearer no"}, "remove": ["user-agent"]}}}\n',
      }
      const gateway = await startGateway({ policy, targets: [model.url] })
      const response = await chat(gateway, { body: { model: 'alias', max_tokens: 100, seed: 1 } })
      expect((await response.json()) as object).toMatchObject({ usage: { completion_tokens: 3 } })
      const { last } = model.stats()
      expect(JSON.parse(String(last?.body))).toMatchObject({ model: 'tiny', max_tokens: 3, seed: 1 })
      expect(last?.headers).toMatchObject({ 'x-team': 'search' })
      expect(Object.keys(last?.headers ?? {})).not.toContain('authorization')
      expect(Object.keys(last?.headers ?? {})).not.toContain('user-agent')
    })
  })

  describe('the admin listener', () => {
    it('demands its token of everything but the probes', async () => {
      const token = 'an-admin-token-of-some-length'
      const gateway = await startGateway({ targets: [model.url], config: { admin: { token } } })
      expect((await fetch(`${gateway.adminUrl}/healthz`)).status).toBe(200)
      expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
      for (const page of ['/status', '/metrics', '/nothing'])
        expect((await fetch(`${gateway.adminUrl}${page}`)).status).toBe(401)
      const headers = { authorization: `Bearer ${token}` }
      expect((await fetch(`${gateway.adminUrl}/status`, { headers })).status).toBe(200)
      expect((await fetch(`${gateway.adminUrl}/nothing`, { headers })).status).toBe(404)
    })

    it('is reached by commands with the token of the config, or that of the environment', async () => {
      const config = { admin: { token: 'an-admin-token-of-some-length' } }
      const gateway = await startGateway({ targets: [model.url], config })
      expect((await gateway.command('status', '--admin', gateway.adminUrl)).code).toBe(0)
      const elsewhere = { cwd: newFolder(), env: { SALLYPORT_ADMIN_TOKEN: config.admin.token } }
      expect((await runCommand(['status', '--admin', gateway.adminUrl], elsewhere)).code).toBe(0)
      expect((await runCommand(['status', '--admin', gateway.adminUrl], { cwd: newFolder() })).code).toBe(3)
    })

    it('tells what the gateway is doing', async () => {
      const gateway = await startGateway({ targets: [model.url] })
      await (await chat(gateway)).arrayBuffer()
      await chat(gateway, { key: 'wrong' })
      const status = await gateway.status()
      expect(status).toMatchObject({
        uptime_seconds: expect.any(Number),
        policy: {
          revision: expect.any(String),
          attempts: [
            {
              outcome: 'activated',
              steps: expect.arrayContaining([{ name: 'compile', ms: expect.any(Number) }]),
            },
          ],
        },
        pools: { chat: { targets: [{ url: model.url, healthy: true, in_flight: 0 }] } },
        store: { engine: 'memory', ok: true },
        audit: { ok: true, seq: 5 },
      })
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
      for (const line of [
        'sallyport_requests_total{pool="chat",model="tiny",outcome="completed",code="ok"} 1',
        'sallyport_requests_total{pool="none",model="none",outcome="refused",code="unauthenticated"} 1',
        'sallyport_decisions_total{rule="open",allow="true"} 1',
        'sallyport_policy_reloads_total{outcome="activated"} 1',
        `sallyport_policy_info{revision="${status.policy.revision}"} 1`,
        `sallyport_target_up{pool="chat",target="${model.url}"} 1`,
        'sallyport_request_duration_seconds_count{outcome="completed"} 1',
        'sallyport_decision_duration_seconds_count 1',
      ]) {
        expect(metrics).toContain(line)
      }
    })
  })

  describe('a start', () => {
    it.each(['listen', 'admin'])(
      'ends with words when the port of %s is taken, and leaves nothing',
      async section => {
        const gateway = await startGateway({ targets: [model.url] })
        const taken = new URL(section === 'listen' ? gateway.url : gateway.adminUrl).port
        const folder = newFolder()
        prepare(folder, { targets: [model.url], config: { [section]: { port: Number(taken) } } })
        const { code, stderr } = await runCommand(['serve'], { cwd: folder })
        expect(code).toBe(3)
        expect(stderr).toContain('EADDRINUSE')
        expect(existsSync(path.join(folder, 'audit.jsonl.lock'))).toBe(false)
      },
    )
  })
})
