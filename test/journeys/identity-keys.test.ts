import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

describe('API keys', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm({ name: 'one', models: ['tiny', 'tiny-large'] })
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const start = (keys: [] | undefined = []): Promise<RunningGateway> =>
    startGateway({
      ...(keys ? { keys } : {}),
      config: { pools: { chat: { models: ['tiny', 'tiny-large'], targets: [{ url: model.url }] } } },
    })
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  const keys = async (gateway: RunningGateway, ...args: string[]): Promise<any> => {
    const { code, stdout, stderr } = await gateway.command('keys', ...args, '--format', 'json')
    if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
    await gateway.logged('keys_loaded')
    return JSON.parse(stdout)
  }
  const create = (gateway: RunningGateway, ...args: string[]) =>
    keys(gateway, 'create', '--principal', 'ana', '--roles', 'a', '--team', 't', ...args)

  it('in a file are good from the moment they are made to the moment they are revoked', async () => {
    const gateway = await start()
    const { stdout } = await gateway.command('keys', 'create', '--principal', 'ana', '--format', 'json')
    const { id, secret } = JSON.parse(stdout)
    expect((await chat(gateway, { key: secret })).status).toBe(200)
    await gateway.command('keys', 'revoke', id)
    expect((await chat(gateway, { key: secret })).status).toBe(401)
  })

  describe('rotated', () => {
    it('have a successor with the same rights, and both are good while they overlap', async () => {
      const gateway = await start()
      await gateway.logged('keys_loaded')
      const old = await create(gateway, '--models', 'tiny', '--expires', '30d')
      const made = await keys(gateway, 'rotate', old.id, '--overlap', '24h')
      expect(made).toMatchObject({ principal: 'ana', roles: ['a'], team: 't', models: ['tiny'] })
      expect(made.id).not.toBe(old.id)
      expect(made.replaces.id).toBe(old.id)
      const inDays = (end: string): number => Math.round((Date.parse(end) - Date.now()) / 86_400_000)
      expect([inDays(made.expires_at), inDays(made.replaces.expires_at)]).toEqual([30, 1])
      for (const { secret } of [old, made]) expect((await chat(gateway, { key: secret })).status).toBe(200)
      expect(readFileSync(path.join(gateway.folder, 'keys.json'), 'utf8')).not.toContain(made.secret)
    })

    it('end when the overlap does, and no later than they would have', async () => {
      const gateway = await start()
      await gateway.logged('keys_loaded')
      const old = await create(gateway)
      const made = await keys(gateway, 'rotate', old.id, '--overlap', '0s')
      expect((await chat(gateway, { key: old.secret })).status).toBe(401)
      expect((await chat(gateway, { key: made.secret })).status).toBe(200)
      expect(made.expires_at).toBeNull()
      const short = await create(gateway, '--expires', '1h')
      const next = await keys(gateway, 'rotate', short.id, '--overlap', '30d')
      expect(next.replaces.expires_at).toBe(short.expires_at)
    })

    it('are refused once they are revoked or unknown', async () => {
      const gateway = await start()
      await gateway.logged('keys_loaded')
      const { id } = await create(gateway)
      await keys(gateway, 'revoke', id)
      for (const gone of [id, 'k_0000000000'])
        expect((await gateway.command('keys', 'rotate', gone)).code).toBe(1)
      expect((await gateway.command('keys', 'rotate', id, '--overlap', 'soon')).code).toBe(2)
    })
  })

  describe('for some models', () => {
    it('call those, list those, and no others, whatever the policy says', async () => {
      const gateway = await start()
      await gateway.logged('keys_loaded')
      const { secret, models } = await create(gateway, '--models', 'tiny, tiny-small')
      expect(models).toEqual(['tiny', 'tiny-small'])
      expect((await chat(gateway, { key: secret })).status).toBe(200)
      const refused = await chat(gateway, { key: secret, body: { model: 'tiny-large' } })
      expect([refused.status, (await errorOf(refused)).code]).toEqual([403, 'forbidden'])
      expect(gateway.audit().at(-1)).toMatchObject({ code: 'forbidden', principal: { claims: { models } } })
      const unnamed = await chat(gateway, { key: secret, body: { model: null } })
      expect(unnamed.status).toBe(403)
      const headers = { authorization: `Bearer ${secret}` }
      const list = await (await fetch(`${gateway.url}/v1/models`, { headers })).json()
      expect((list as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['tiny'])
      const other = await fetch(`${gateway.url}/api/delete`, { method: 'DELETE', headers })
      expect(other.status).toBe(403)
      const wondering = await fetch(`${gateway.url}/-/authorize`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ body: { model: 'tiny-large', messages: [] } }),
      })
      expect(await wondering.json()).toMatchObject({
        decision: { allow: false, code: 'forbidden' },
        pool: null,
      })
      expect((await fetch(`${gateway.url}/-/whoami`, { headers })).status).toBe(200)
    })
  })
})
