import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask, call, PEOPLE } from '../support/access.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

describe('just-in-time access', () => {
  let model: TinySlm
  let gateway: RunningGateway
  beforeAll(async () => {
    model = await startTinySlm()
    gateway = await startGateway({ policy: ACCESS_POLICY, targets: [model.url], keys: PEOPLE })
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const events = (id: string): string[] =>
    gateway
      .audit()
      .filter(record => record.access_request === id)
      .map(record => record.event)
  const chatAs = (who: string) => chat(gateway, { key: gateway.keys[who] ?? who })
  const approve = (who: string, id: string) =>
    call(gateway, who, `POST /-/access/requests/${id}/approve`, { comment: 'go' })

  it('tells an SDK how to ask, lends access on a lead’s word, and takes it away again', async () => {
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.dev ?? '', maxRetries: 0 })
    const body = { model: 'tiny', max_tokens: 4, messages: [{ role: 'user' as const, content: 'x' }] }
    await expect(client.chat.completions.create(body)).rejects.toMatchObject({
      status: 403,
      code: 'access_required',
      message: expect.stringMatching(/sallyport access request --models tiny --duration 2h/),
      error: { access: { requestable: true, models: ['tiny'], max_duration: '2h' } },
    })

    const asked = await ask(gateway, 'dev', { ticket: 'OPS-1' })
    expect(asked).toMatchObject({
      status: 201,
      body: {
        id: expect.stringMatching(/^r_/),
        state: 'pending',
        models: ['tiny'],
        roles: [],
        duration: '1h',
        reason: 'incident 4512',
        ticket: 'OPS-1',
        requested_by: 'dev',
        approvals: [],
        grant: null,
        token: null,
      },
    })
    const { id } = asked.body
    expect((await ask(gateway, 'dev', { ticket: 'OPS-1', reason: 'in other words' })).body.id).toBe(id)

    // Who decides sees it, who has no say does not.
    expect((await call(gateway, 'lea', 'GET /-/access/requests')).body.requests).toMatchObject([{ id }])
    expect((await call(gateway, 'ona', 'GET /-/access/requests')).body).toEqual({ requests: [] })
    expect((await call(gateway, 'ona', `GET /-/access/requests/${id}`)).status).toBe(404)
    expect((await approve('ona', id)).status).toBe(403)
    expect((await chatAs('dev')).status).toBe(403)

    const waiting = call(gateway, 'dev', `GET /-/access/requests/${id}?wait=30s`)
    const approved = await approve('lea', id)
    expect(approved).toMatchObject({
      status: 200,
      body: { state: 'approved', approvals: [{ id: 'lea', roles: ['lead'] }], grant: { id: /^g_/ } },
    })
    expect((await waiting).body).toMatchObject({ state: 'approved', grant: approved.body.grant })
    const { grant } = approved.body
    expect(Date.parse(grant.expires_at) - Date.parse(grant.starts_at)).toBe(3_600_000)
    expect((await approve('lou', id)).status).toBe(409)

    const served = await chatAs('dev')
    expect(served.status).toBe(200)
    const decision = await gateway.audited(
      record => record.event === 'decision' && record.decision_id === served.headers.get('x-decision-id'),
    )
    expect(decision).toMatchObject({
      grants: [{ id: grant.id, emergency: false }],
      input: { grants: [{ id: grant.id, models: ['tiny'], approved_by: 'lea', reason: 'incident 4512' }] },
    })
    expect((await call(gateway, 'dev', 'GET /-/whoami')).body.grants).toMatchObject([{ id: grant.id }])
    expect((await call(gateway, 'dev', 'GET /-/access/grants')).body.grants).toMatchObject([
      { id: grant.id, state: 'active', approved_by: 'lea' },
    ])
    expect((await call(gateway, 'lea', 'GET /-/access/grants')).body).toEqual({ grants: [] })
    expect((await call(gateway, 'lea', 'GET /-/access/grants?all=true')).body.grants).toMatchObject([
      { id: grant.id },
    ])

    expect((await call(gateway, 'ona', `DELETE /-/access/grants/${grant.id}`)).status).toBe(403)
    expect(await call(gateway, 'lea', `DELETE /-/access/grants/${grant.id}`)).toMatchObject({
      status: 200,
      body: { state: 'revoked', ended_by: 'lea' },
    })
    expect((await chatAs('dev')).status).toBe(403)
    expect((await call(gateway, 'lea', `DELETE /-/access/grants/${grant.id}`)).status).toBe(409)
    expect(events(id)).toEqual(['access.requested', 'access.approved', 'access.used', 'access.revoked'])
  })

  it('approves by itself where the policy does, and takes back what its holder gives back', async () => {
    const { status, body } = await ask(gateway, 'ona')
    expect([status, body.state]).toEqual([201, 'approved'])
    expect((await chatAs('ona')).status).toBe(200)
    expect((await ask(gateway, 'ona')).body.id).toBe(body.id)
    expect(await call(gateway, 'ona', `DELETE /-/access/grants/${body.grant.id}`)).toMatchObject({
      status: 200,
      body: { state: 'returned' },
    })
    expect((await chatAs('ona')).status).toBe(403)
    expect((await ask(gateway, 'ona')).body.id).not.toBe(body.id)
    expect(events(body.id).at(-1)).toBe('access.returned')
  })

  it('refuses and records what the policy denies, and what is asked for too long', async () => {
    const denied = await ask(gateway, 'guest')
    expect(denied).toMatchObject({
      status: 403,
      body: { error: { code: 'forbidden', message: 'Not for you.' } },
    })
    const long = await ask(gateway, 'dev', { duration: '3h' })
    expect([long.status, long.body.error.message]).toEqual([403, expect.stringContaining('2h')])
    const records = gateway.audit().filter(record => record.principal?.id === 'guest')
    expect(records.map(record => record.event)).toEqual(['access.requested', 'access.denied', 'decision'])
  })

  it.each([
    ['nothing', undefined],
    ['no reason', { reason: undefined }],
    ['no models and no roles', { models: [] }],
    ['an unknown key', { model: 'tiny' }],
    ['a duration that is none', { duration: 'soon' }],
    ['a duration of nothing', { duration: '0s' }],
    ['a duration without end', { duration: '9999999d' }],
    ['a model that is no name', { models: [1] }],
    ['a ticket that is no text', { ticket: 7 }],
  ])('refuses a question with %s', async (_what, body) => {
    const answer = await call(
      gateway,
      'dev',
      'POST /-/access/requests',
      body && { models: ['tiny'], duration: '1h', reason: 'x', ...body },
    )
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request'])
  })

  it('lets nobody approve their own request, nor twice, and asks for as many as the policy says', async () => {
    const own = (await ask(gateway, 'deb')).body.id
    expect((await approve('deb', own)).status).toBe(403)
    const { id } = (await ask(gateway, 'dev', { models: ['secret'] })).body
    expect((await approve('lea', id)).body).toMatchObject({ state: 'pending', grant: null })
    expect((await approve('lea', id)).status).toBe(409)
    expect((await approve('lou', id)).body).toMatchObject({
      state: 'approved',
      approvals: [{ id: 'lea' }, { id: 'lou' }],
    })
    expect(events(id)).toEqual(['access.requested', 'access.approved', 'access.approved'])
  })

  it('keeps what was denied denied, and lets a question expire that nobody answers', async () => {
    const { id } = (await ask(gateway, 'dev', { duration: '10m' })).body
    const denied = await call(gateway, 'lea', `POST /-/access/requests/${id}/deny`, { comment: 'no' })
    expect(denied).toMatchObject({ status: 200, body: { state: 'denied', denied_by: 'lea', comment: 'no' } })
    expect((await approve('lou', id)).status).toBe(409)
    const slow = (await ask(gateway, 'dev', { duration: '20m', reason: 'be quick' })).body
    const waited = await call(gateway, 'dev', `GET /-/access/requests/${slow.id}?wait=20s`)
    expect(waited.body.state).toBe('expired')
    expect((await approve('lea', slow.id)).status).toBe(409)
    expect(events(slow.id)).toEqual(['access.requested', 'access.expired'])
  })

  it('approves once, however many approve at the same moment', async () => {
    const { id } = (await ask(gateway, 'dev', { duration: '30m' })).body
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => approve(index % 2 ? 'lea' : 'lou', id)),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(409)])
    expect(events(id).filter(event => event === 'access.approved')).toHaveLength(1)
  })

  it('finds the first of many who ask the same at the same moment', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => ask(gateway, 'dev', { duration: '40m' })),
    )
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
  })

  it('counts uses, exactly, and is used up', async () => {
    const client = await startGateway({ policy: ACCESS_POLICY, targets: [model.url], keys: PEOPLE })
    const { id } = (await ask(client, 'dev', { reason: 'twice' })).body
    await call(client, 'lea', `POST /-/access/requests/${id}/approve`)
    const statuses = await Promise.all(Array.from({ length: 6 }, async () => (await chat(client)).status))
    expect(statuses.sort()).toEqual([200, 200, 403, 403, 403, 403])
    await expect
      .poll(async () => (await call(client, 'dev', 'GET /-/access/grants')).body.grants[0].state)
      .toBe('used_up')
  })

  it('hands out a credential once that is worth the grant alone, until it is revoked', async () => {
    const asked = await ask(gateway, 'ona', { token: true })
    const { token, id, grant } = asked.body
    expect(token.split('.')).toHaveLength(3)
    expect((await call(gateway, 'ona', `GET /-/access/requests/${id}`)).body.token).toBeNull()
    expect((await chatAs(token)).status).toBe(200)
    expect((await call(gateway, token, 'GET /-/whoami')).body).toMatchObject({
      principal: { id: 'ona', roles: [], method: 'access_grant', expires_at: grant.expires_at },
      grants: [{ id: grant.id }],
    })
    for (const line of ['POST /-/access/requests', 'GET /-/access/requests', `GET /-/access/requests/${id}`])
      expect((await call(gateway, token, line)).status).toBe(403)
    expect((await call(gateway, token, 'GET /-/access/grants?all=true')).body.grants).toMatchObject([
      { id: grant.id },
    ])
    const [head, claims, signature] = token.split('.')
    const other = Buffer.from(JSON.stringify({ ...JSON.parse(atob(claims)), sub: 'ana' })).toString(
      'base64url',
    )
    for (const forged of [
      [head, other, signature],
      [head, claims, Buffer.alloc(64).toString('base64url')],
      [btoa('{"typ":"sallyport-grant+jwt","alg":"none"}').replace(/=+$/, ''), claims, ''],
    ]) {
      expect((await chatAs(forged.join('.'))).status).toBe(401)
    }
    await call(gateway, 'lea', `DELETE /-/access/grants/${grant.id}`)
    expect((await chatAs(token)).status).toBe(401)
  })

  const listen = (who: string, id: string, from = gateway): Promise<Response> =>
    fetch(`${from.url}/-/access/requests/${id}`, {
      headers: { authorization: `Bearer ${from.keys[who]}`, accept: 'text/event-stream' },
    })
  const told = (text: string) =>
    text
      .split('\n\n')
      .filter(event => event.startsWith('data: '))
      .map(event => JSON.parse(event.slice('data: '.length)))

  it('tells in events what becomes of a request, word by word, until it is decided', async () => {
    const { id } = (await ask(gateway, 'dev', { models: ['secret'], token: true })).body
    const answer = await listen('dev', id)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    await approve('lea', id)
    await approve('lou', id)
    const all = told(await answer.text())
    expect(all[0]).toMatchObject({ id, state: 'pending', approvals: [], token: null })
    expect(all.map(({ approvals }) => approvals.length)).toEqual([0, 1, 2])
    expect(all.at(-1)).toMatchObject({ state: 'approved', token: expect.stringMatching(/^ey/) })
    expect(told(await (await listen('dev', id)).text())).toMatchObject([{ state: 'approved', token: null }])
    expect((await listen('ona', id)).status).toBe(404)
  })

  it('bounds what one principal calls in a minute, and nobody else', async () => {
    const busy = await startGateway({ policy: ACCESS_POLICY, keys: PEOPLE })
    const statuses: number[] = []
    const look = async (): Promise<void> => {
      for (let turn = 0; turn < 101; turn++)
        statuses.push((await call(busy, 'dev', 'GET /-/access/grants')).status)
    }
    await Promise.all(Array.from({ length: 10 }, look))
    expect(statuses.filter(status => status === 200)).toHaveLength(1000)
    const refused = await call(busy, 'dev', 'GET /-/access/grants')
    expect([refused.status, refused.body.error.code]).toEqual([429, 'rate_limited'])
    expect((await call(busy, 'lea', 'GET /-/access/grants')).status).toBe(200)
    expect((await call(busy, 'dev', 'GET /-/whoami')).status).toBe(200)
  })

  it('keeps nobody waiting for a decision when the gateway stops', async () => {
    const stopping = await startGateway({
      policy: ACCESS_POLICY,
      keys: PEOPLE,
      config: { listen: { drain: '1h' } },
    })
    const { id } = (await ask(stopping, 'dev')).body
    const waiting = call(stopping, 'dev', `GET /-/access/requests/${id}?wait=5m`)
    await expect.poll(async () => (await stopping.status()).access).toEqual({ active: 0, pending: 1 })
    const listening = await listen('dev', id, stopping)
    const stopped = stopping.stop()
    expect((await waiting).body.state).toBe('pending')
    expect(told(await listening.text()).at(-1)?.state).toBe('pending')
    expect(await stopped).toBe(0)
  })

  it('gives a key for some models no more, and no say', async () => {
    const { stdout } = await gateway.command(
      ...['keys', 'create', '--principal', 'deb', '--roles', 'developer,lead', '--models', 'tiny'],
      ...['--format', 'json'],
    )
    const { secret } = JSON.parse(stdout)
    await expect.poll(async () => (await call(gateway, secret, 'GET /-/whoami')).status).toBe(200)
    expect((await ask(gateway, secret, { models: ['secret'] })).status).toBe(403)
    expect((await ask(gateway, secret, { roles: ['lead'] })).status).toBe(403)
    expect((await ask(gateway, secret, { ticket: 'OPS-9' })).status).toBe(201)
    const { id } = (await ask(gateway, 'dev', { duration: '50m' })).body
    expect((await call(gateway, secret, `POST /-/access/requests/${id}/approve`)).status).toBe(403)
    expect((await call(gateway, secret, `GET /-/access/requests/${id}`)).status).toBe(404)
    expect((await call(gateway, 'deb', `GET /-/access/requests/${id}`)).status).toBe(200)
  })

  it('offers no access where the policy has no rule for it', async () => {
    const silent = await startGateway({ targets: [model.url], keys: PEOPLE })
    const { status, body } = await ask(silent, 'dev')
    expect([status, body.error.code]).toEqual([403, 'forbidden'])
  })
})
