/**
 * The admin listener: who may come, what they see, and what is kept of what they do.
 */

import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { authority } from '../support/certificates.ts'
import { eventsOf } from '../support/events.ts'
import { chat, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

const POLICY = {
  'gateway.rego': `package gateway

default decision := {"allow": false, "rule": "nobody", "reasons": ["not known"]}

decision := {"allow": true, "rule": "devs", "limits": [
	{"name": "per_hour", "key": input.principal.id, "unit": "requests", "limit": 4, "window": "1h"},
]} if input.principal.id == "dev"

decision := {"allow": true, "rule": "noted", "audit": {"content": "all"}} if input.principal.id == "noted"
`,
}
const KEYS = ['dev', 'noted', 'eve'].map(principal => ({ principal }))
const OPERATE = 'operate-0123456789'
const READ = 'read-0123456789abc'

let model: TinySlm
beforeAll(async () => {
  model = await startTinySlm({ name: 'one' })
})
afterEach(stopAll)
afterAll(() => model.close())

const start = (admin: object = {}): Promise<RunningGateway> =>
  startGateway({ policy: POLICY, keys: KEYS, targets: [model.url], config: { admin } })

const post = (gateway: RunningGateway, where: string, headers: Record<string, string> = {}) =>
  fetch(gateway.adminUrl + where, { method: 'POST', headers })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** With a `Host` of one's own, which `fetch` does not let through. */
function statusBy(gateway: RunningGateway, host: string, where = '/status'): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get(gateway.adminUrl + where, { headers: { host } }, response => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      .on('error', reject)
  })
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
async function decisions(gateway: RunningGateway, query = ''): Promise<any[]> {
  const response = await fetch(`${gateway.adminUrl}/decisions${query}`)
  expect(response.status).toBe(200)
  return ((await response.json()) as { decisions: object[] }).decisions
}

async function ask(gateway: RunningGateway, principal: string, body: object = {}): Promise<string> {
  const response = await chat(gateway, { key: gateway.keys[principal], body })
  await response.arrayBuffer()
  return response.headers.get('x-decision-id') ?? ''
}

describe('the decisions', () => {
  it('are there as recorded, the latest first, with their outcome and without content', async () => {
    const gateway = await start()
    const allowed = await ask(gateway, 'dev')
    const refused = await ask(gateway, 'eve')
    const noted = await ask(gateway, 'noted', { messages: [{ role: 'user', content: 'a secret' }] })
    const found = await decisions(gateway)
    expect(found.map(({ decision_id }) => decision_id)).toEqual([noted, refused, allowed])
    expect(found[2]).toMatchObject({
      event: 'decision',
      outcome: 'completed',
      principal: { id: 'dev' },
      result: { allow: true, rule: 'devs' },
      http: { method: 'POST', path: '/v1/chat/completions', status: 200 },
      limits: [{ name: 'per_hour', remaining: 3 }],
      usage: { estimated: false },
      timings: { total: expect.any(Number) },
      target: model.url,
    })
    expect(found[1]).toMatchObject({
      outcome: 'refused',
      code: 'forbidden',
      result: { reasons: ['not known'] },
    })
    expect(JSON.stringify(found)).not.toContain('a secret')
    expect(readFileSync(path.join(gateway.folder, 'audit.jsonl'), 'utf8')).toContain('a secret')
    const one = await fetch(`${gateway.adminUrl}/decisions/${allowed}`)
    expect(await one.json()).toEqual(found[2])
    expect((await fetch(`${gateway.adminUrl}/decisions/none`)).status).toBe(404)
  })

  it('are masked as the audit log is', async () => {
    const gateway = await startGateway({
      policy: {
        ...POLICY,
        'mask.rego': 'package gateway\n\nmask contains "/input/principal/id"\n',
      },
      keys: KEYS,
      targets: [model.url],
    })
    const id = await ask(gateway, 'dev')
    const [found] = await decisions(gateway)
    const { chain: _, ...written } = await gateway.audited(record => record.decision_id === id)
    expect(found).toMatchObject({ decision_id: id, outcome: 'completed' })
    expect([found.principal, found.input, found.erased]).toEqual([
      written.principal,
      written.input,
      written.erased,
    ])
  })

  it('are filtered by the query, and an unknown filter is refused', async () => {
    const gateway = await start()
    for (const principal of ['dev', 'eve', 'noted']) await ask(gateway, principal)
    await ask(gateway, 'dev', { model: 'huge' })
    const principals = async (query: string): Promise<string[]> =>
      (await decisions(gateway, query)).map(({ principal }) => principal.id)
    expect(await principals('?allow=false')).toEqual(['dev', 'eve'])
    expect(await principals('?allow=true')).toEqual(['noted', 'dev'])
    expect(await principals('?principal=dev&model=tiny')).toEqual(['dev'])
    expect(await principals('?principal=dev&principal=eve&limit=2')).toEqual(['dev', 'eve'])
    expect(await principals('?rule=nobody')).toEqual(['eve'])
    expect(await principals('?code=model_not_found')).toEqual(['dev'])
    for (const query of ['?principle=dev', '?allow=yes', '?limit=-1'])
      expect((await fetch(`${gateway.adminUrl}/decisions${query}`)).status).toBe(400)
  })

  it('come live, and who was away goes on where they were', async () => {
    const gateway = await start()
    const first = await ask(gateway, 'dev')
    const stream = await eventsOf(`${gateway.adminUrl}/decisions`)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
    const earlier = await stream.next()
    expect(JSON.parse(earlier.data).decision_id).toBe(first)
    const second = await ask(gateway, 'eve')
    const live = await stream.next()
    expect(JSON.parse(live.data)).toMatchObject({ decision_id: second, code: 'forbidden' })
    stream.close()
    const third = await ask(gateway, 'noted')
    const again = await eventsOf(`${gateway.adminUrl}/decisions`, { 'last-event-id': live.id })
    expect(JSON.parse((await again.next()).data).decision_id).toBe(third)
    again.close()
    const filtered = await eventsOf(`${gateway.adminUrl}/decisions?principal=eve&outcomes=true&limit=0`)
    await ask(gateway, 'dev')
    const fourth = await ask(gateway, 'eve')
    expect(JSON.parse((await filtered.next()).data).decision_id).toBe(fourth)
    filtered.close()
  })

  it('tell how a request ended, to those who want to know', async () => {
    const gateway = await start()
    const stream = await eventsOf(`${gateway.adminUrl}/decisions?outcomes=true`)
    const id = await ask(gateway, 'dev')
    expect(await stream.next()).toMatchObject({ event: 'message' })
    const ended = await stream.next()
    expect([ended.event, JSON.parse(ended.data)]).toMatchObject([
      'outcome',
      { decision_id: id, outcome: 'completed' },
    ])
    stream.close()
  })
})

describe('what is live', () => {
  it('tells the last seconds and the limits that are nearly used up', async () => {
    const gateway = await start()
    for (let request = 0; request < 3; request++) await ask(gateway, 'dev')
    await ask(gateway, 'eve')
    await expect
      .poll(async () => {
        const { seconds } = (await (await fetch(`${gateway.adminUrl}/live`)).json()) as {
          seconds: { requests: number; refused: number }[]
        }
        const sum = (pick: 'requests' | 'refused') => seconds.reduce((sum, second) => sum + second[pick], 0)
        return [sum('requests'), sum('refused')]
      })
      .toEqual([4, 1])
    const stream = await eventsOf(`${gateway.adminUrl}/live`)
    expect((await stream.next()).event).toBe('snapshot')
    const second = await stream.next()
    expect([second.event, JSON.parse(second.data)]).toMatchObject([
      'second',
      { last: { window_seconds: 10 } },
    ])
    stream.close()
    const limits = await (await fetch(`${gateway.adminUrl}/limits`)).json()
    expect(limits).toMatchObject({ limits: [{ name: 'per_hour', key: 'dev', remaining: 1, used: 0.75 }] })
  })
})

describe('the admin listener', () => {
  it('lets everybody on loopback operate where there is no token, and records who did what', async () => {
    const gateway = await start()
    expect((await post(gateway, '/policy/reload')).status).toBe(200)
    expect((await post(gateway, '/policy/rollback')).status).toBe(404)
    const changes = gateway.audit().filter(({ event }) => event.startsWith('admin.'))
    expect(changes).toMatchObject([
      {
        event: 'admin.reload',
        by: { name: 'local', method: 'loopback', role: 'operate' },
        address: '127.0.0.1',
      },
      { event: 'admin.rollback', revision: null },
    ])
  })

  it('wants a token where there are some, and tells who reads from who operates', async () => {
    const tokens = [
      { name: 'ana', token: OPERATE, role: 'operate' },
      { name: 'dashboard', token: READ },
    ]
    const gateway = await start({ tokens })
    for (const where of [
      '/status',
      '/metrics',
      '/decisions',
      '/live',
      '/limits',
      '/v1/data',
      '/operator',
      '/nothing',
    ]) {
      const refused = await fetch(gateway.adminUrl + where)
      expect([where, refused.status]).toEqual([where, 401])
      expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer/)
    }
    for (const where of ['/healthz', '/readyz', '/health'])
      expect((await fetch(gateway.adminUrl + where)).status).toBe(200)
    expect((await fetch(`${gateway.adminUrl}/status`, { headers: bearer('wrong') })).status).toBe(401)
    expect((await fetch(`${gateway.adminUrl}/status`, { headers: bearer(READ) })).status).toBe(200)
    expect((await post(gateway, '/policy/reload', bearer(READ))).status).toBe(403)
    expect((await post(gateway, '/policy/reload', bearer(OPERATE))).status).toBe(200)
    expect(gateway.audit().filter(({ event }) => event.startsWith('admin.'))).toMatchObject([
      { event: 'admin.refused', action: 'reload', by: { name: 'dashboard', role: 'read', method: 'token' } },
      { event: 'admin.reload', by: { name: 'ana', role: 'operate' } },
    ])
    expect(readFileSync(path.join(gateway.folder, 'audit.jsonl'), 'utf8')).not.toContain(OPERATE)
  })

  it('takes a client certificate in place of a token, over TLS', async () => {
    const folder = newFolder()
    const ca = authority(folder, 'ca')
    const server = ca.issue('server', '/CN=localhost', ['IP:127.0.0.1'], { usage: 'serverAuth' })
    const ana = ca.issue('ana', '/CN=ana')
    const stranger = authority(folder, 'elsewhere').issue('eve', '/CN=ana')
    const { certFile, keyFile } = server
    const gateway = await start({ tls: { certFile, keyFile, clientCaFile: ca.file }, token: OPERATE })
    expect(gateway.adminUrl).toMatch(/^https:/)
    const get = (options: https.RequestOptions, where = '/operator'): Promise<[number, unknown]> =>
      new Promise((resolve, reject) => {
        const request = https.get(gateway.adminUrl + where, {
          ...options,
          ca: readFileSync(ca.file),
          agent: false,
        })
        request.on('error', reject).on('response', async response => {
          let text = ''
          for await (const part of response) text += part
          resolve([response.statusCode ?? 0, JSON.parse(text)])
        })
      })
    expect(await get(ana)).toMatchObject([200, { name: 'ana', role: 'operate', method: 'certificate' }])
    expect((await get({}))[0]).toBe(401)
    expect((await get({ cert: stranger.cert, key: stranger.key }))[0]).toBe(401)
    expect(await get({ headers: bearer(OPERATE) })).toMatchObject([200, { name: 'admin', method: 'token' }])
    expect((await get({}, '/healthz'))[0]).toBe(200)
  })

  it('knows its addresses, and says what it does not take', async () => {
    const gateway = await start()
    expect((await fetch(`${gateway.adminUrl}/nothing`)).status).toBe(404)
    const wrong = await post(gateway, '/status')
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const other = await fetch(`${gateway.adminUrl}/policy/reload`)
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST'])
    expect(Object.fromEntries((await fetch(`${gateway.adminUrl}/status`)).headers)).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
    })
  })
})

describe('a web page of somebody else', () => {
  /** A form or a script on another site sends a POST to the loopback address; the browser says where it is from. */
  it('changes nothing, whatever its browser says of it', async () => {
    const gateway = await start()
    const pages: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of pages) expect((await post(gateway, '/policy/reload', headers)).status).toBe(403)
    expect(gateway.audit().filter(({ event }) => event.startsWith('admin.'))).toEqual([])
    const own = { origin: gateway.adminUrl, 'sec-fetch-site': 'same-origin' }
    expect((await post(gateway, '/policy/reload', own)).status).toBe(200)
  })

  /** evil.example is pointed at 127.0.0.1 once its page is loaded: to the browser it is the same site. */
  it('that had its name pointed here is not answered', async () => {
    const gateway = await start()
    const { port } = new URL(gateway.adminUrl)
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'a@localhost',
    ]) {
      expect([host, await statusBy(gateway, host)]).toEqual([host, 403])
      expect(await statusBy(gateway, host, '/healthz')).toBe(403)
    }
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'LOCALHOST'])
      expect([host, await statusBy(gateway, host)]).toEqual([host, 200])
  })

  it('is told by names of our own where the listener is for others too', async () => {
    const gateway = await start({ hosts: ['gw.example'] })
    expect(await statusBy(gateway, 'gw.example:8081')).toBe(200)
    expect(await statusBy(gateway, 'other.example')).toBe(403)
  })
})
