import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  errorOf,
  REFERENCE_POLICIES,
  type RunningGateway,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

describe('what the gateway answers itself', () => {
  let model: TinySlm
  let gateway: RunningGateway
  beforeAll(async () => {
    model = await startTinySlm()
    gateway = await startGateway({
      policy: REFERENCE_POLICIES,
      targets: [model.url],
      keys: [
        { principal: 'dev', roles: ['developer'], team: 'search' },
        { principal: 'ana', roles: ['admin'] },
      ],
    })
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const ask = (path: string, init: RequestInit = {}, principal = 'dev'): Promise<Response> =>
    fetch(gateway.url + path, { ...init, headers: { authorization: `Bearer ${gateway.keys[principal]}` } })
  const authorize = (body: object): Promise<Response> =>
    ask('/-/authorize', { method: 'POST', body: JSON.stringify(body) })

  it('tells callers who they are and what is left of their limits', async () => {
    await (await chat(gateway)).arrayBuffer()
    const whoami = await (await ask('/-/whoami')).json()
    expect(whoami).toMatchObject({
      principal: { id: 'dev', roles: ['developer'], team: 'search', method: 'api_key' },
      grants: [],
      limits: [
        {
          name: 'requests_per_minute',
          unit: 'requests',
          limit: 60,
          remaining: 59,
          resets_at: expect.stringMatching(/^\d{4}-/),
        },
        { name: 'streams', unit: 'concurrency', limit: 8, remaining: 8, resets_at: null },
        { name: 'team_requests_per_minute', limit: 300, remaining: 299 },
      ],
    })
    expect((await fetch(`${gateway.url}/-/whoami`)).status).toBe(401)
  })

  it('goes on telling of limits that a later request was not under', async () => {
    const limited = await startGateway({
      policy: {
        'gateway.rego': `package gateway

decision := {"allow": true, "rule": "list"} if input.request.operation == "models"

decision := {"allow": true, "rule": "call", "limits": [{"name": input.request.model, "key": "k", "unit": "requests",
	"limit": 9, "window": "1h"}]} if input.request.operation == "chat"
`,
      },
      config: { pools: { chat: { models: ['tiny', 'other'], targets: [{ url: model.url }] } } },
    })
    const headers = { authorization: `Bearer ${limited.keys.dev}` }
    for (const name of ['tiny', 'other']) await (await chat(limited, { body: { model: name } })).arrayBuffer()
    await (await fetch(`${limited.url}/v1/models`, { headers })).arrayBuffer()
    const whoami = await (await fetch(`${limited.url}/-/whoami`, { headers })).json()
    expect(whoami).toMatchObject({
      limits: [
        { name: 'tiny', remaining: 8 },
        { name: 'other', remaining: 8 },
      ],
    })
  })

  it('says what would be decided, spending nothing and forwarding nothing', async () => {
    const before = model.stats().requests
    const question = {
      method: 'POST',
      path: '/v1/chat/completions',
      headers: {},
      body: { model: 'tiny', messages: [] },
    }
    const first = await (await authorize(question)).json()
    expect(first).toMatchObject({
      decision: { allow: true, rule: 'developer_always' },
      pool: 'chat',
      limits: [{ name: 'requests_per_minute' }, {}, {}],
    })
    expect(await (await authorize(question)).json()).toEqual(first)
    const refused = await (await authorize({ ...question, body: { model: 'tiny-large' } })).json()
    expect(refused).toMatchObject({ decision: { allow: false, code: 'access_required' }, pool: null })
    expect(model.stats().requests).toBe(before)
  })

  it.each([
    ['an unknown member', { metod: 'GET' }],
    ['a path with dot segments', { path: '/v1/../x' }],
    ['a body that is too deep', { body: JSON.parse(`${'['.repeat(65)}${']'.repeat(65)}`) }],
  ])('refuses to wonder about %s', async (_name, question) => {
    const response = await authorize(question)
    expect([response.status, (await errorOf(response)).code]).toEqual([400, 'invalid_request'])
  })

  it('never forwards anything else under its own prefix, not even for an admin', async () => {
    for (const path of ['/-/', '/-/nothing', '/-/authorize', '/%2d/whoami2']) {
      const response = await ask(path, {}, 'ana')
      expect([path, response.status, (await errorOf(response)).code]).toEqual([path, 404, 'not_found'])
    }
    expect(model.stats().last?.headers).not.toHaveProperty('authorization')
  })
})
