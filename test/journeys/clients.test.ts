import OpenAI, { AuthenticationError, NotFoundError, PermissionDeniedError, RateLimitError } from 'openai'
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

/** Clients that nobody changed, against the reference policy. */
describe('unmodified clients', () => {
  let model: TinySlm
  let gateway: RunningGateway

  beforeAll(async () => {
    model = await startTinySlm({ models: ['tiny', 'tiny-large'] })
    gateway = await startGateway({
      policy: REFERENCE_POLICIES,
      config: {
        pools: {
          chat: { models: ['tiny'], targets: [{ url: model.url, apiKey: 'the-targets-own-key' }] },
          large: { models: ['tiny-large'], targets: [{ url: model.url }] },
        },
      },
      keys: [
        { principal: 'dev', roles: ['developer'], team: 'search' },
        { principal: 'ana', roles: ['admin'] },
        { principal: 'ci-bot', roles: ['ci'], team: 'build' },
        { principal: 'gil', roles: ['guest'] },
      ],
    })
  })
  afterAll(async () => {
    await stopAll()
    await model.close()
  })

  const sdk = (principal: string): OpenAI =>
    new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys[principal] ?? 'none', maxRetries: 0 })

  it('answers HEAD of the list of models itself, as GET without the body', async () => {
    const headers = { authorization: `Bearer ${gateway.keys.dev}` }
    const { requests } = model.stats()
    const [head, get] = await Promise.all(
      ['HEAD', 'GET'].map(method => fetch(`${gateway.url}/v1/models`, { method, headers })),
    )
    expect([head?.status, await head?.text()]).toEqual([200, ''])
    expect(head?.headers.get('content-length')).toBe(get?.headers.get('content-length'))
    expect(model.stats().requests).toBe(requests)
  })

  it('answers a chat through the OpenAI SDK, with usage and ids', async () => {
    const { data, response } = await sdk('dev')
      .chat.completions.create({
        model: 'tiny',
        max_tokens: 8,
        messages: [{ role: 'user', content: 'the gate' }],
      })
      .withResponse()
    expect(data.choices[0]?.message.content).not.toBe('')
    expect(data.usage?.completion_tokens).toBeGreaterThan(0)
    const id = response.headers.get('x-decision-id')
    const outcome = await gateway.audited(record => record.event === 'outcome' && record.decision_id === id)
    expect(outcome).toMatchObject({
      outcome: 'completed',
      pool: 'chat',
      target: model.url,
      http: { status: 200 },
      usage: {
        input_tokens: data.usage?.prompt_tokens,
        output_tokens: data.usage?.completion_tokens,
        estimated: false,
      },
    })
  })

  it('streams through the OpenAI SDK and records the tokens of the stream', async () => {
    const { data: stream, response } = await sdk('dev')
      .chat.completions.create({
        model: 'tiny',
        max_tokens: 6,
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: 'user', content: 'the gate' }],
      })
      .withResponse()
    let text = ''
    let tokens = 0
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    expect(text).not.toBe('')
    const id = response.headers.get('x-decision-id')
    const outcome = await gateway.audited(record => record.event === 'outcome' && record.decision_id === id)
    expect(outcome.usage.output_tokens).toBe(tokens)
  })

  it('makes the SDK raise its own typed errors', async () => {
    const ask = (principal: string, wanted: string) =>
      sdk(principal).chat.completions.create({ model: wanted, messages: [{ role: 'user', content: 'x' }] })
    await expect(ask('nobody', 'tiny')).rejects.toThrow(AuthenticationError)
    await expect(ask('gil', 'tiny')).rejects.toThrow(PermissionDeniedError)
    await expect(ask('dev', 'tiny-large')).rejects.toMatchObject({ status: 403, code: 'access_required' })
    await expect(ask('ana', 'no-such-model')).rejects.toThrow(NotFoundError)
    await expect(ask('ana', 'no-such-model')).rejects.toMatchObject({ code: 'model_not_found' })
  })

  it('refuses the sixth request of a minute and says when to come back', async () => {
    const client = sdk('ci-bot')
    const ask = () =>
      client.chat.completions.create({
        model: 'tiny',
        max_tokens: 1,
        messages: [{ role: 'user', content: 'x' }],
      })
    for (let request = 0; request < 5; request++) await ask()
    const refused = await ask().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(RateLimitError)
    const { headers, code } = refused as RateLimitError
    expect(code).toBe('rate_limited')
    expect(Number(headers?.get('retry-after'))).toBeGreaterThan(0)
    expect(headers?.get('ratelimit')).toMatch(/^"requests_per_minute";r=0;t=\d+/)
    expect(headers?.get('ratelimit-policy')).toContain('"requests_per_minute";q=5;w=60')
    expect(headers?.get('x-ratelimit-remaining-requests')).toBe('0')
  })

  it('lists the models that this principal may call now', async () => {
    const models = async (principal: string): Promise<string[]> => {
      const listed: string[] = []
      for await (const { id } of sdk(principal).models.list()) listed.push(id)
      return listed
    }
    expect(await models('dev')).toEqual(['tiny'])
    expect(await models('ana')).toEqual(['tiny', 'tiny-large'])
    expect(await models('gil')).toEqual([])
  })

  it('takes the key as x-api-key and as api-key, and refuses two that differ', async () => {
    const ask = (headers: Record<string, string>) => chat(gateway, { key: '', headers })
    expect((await ask({ 'x-api-key': gateway.keys.ana as string })).status).toBe(200)
    expect((await ask({ 'api-key': gateway.keys.ana as string })).status).toBe(200)
    expect(
      (await ask({ 'x-api-key': gateway.keys.ana as string, 'api-key': gateway.keys.ana as string })).status,
    ).toBe(200)
    const two = await ask({
      'x-api-key': gateway.keys.ana as string,
      authorization: `Bearer ${gateway.keys.dev}`,
    })
    expect([two.status, (await errorOf(two)).code]).toEqual([400, 'invalid_request'])
  })

  it('sends the body to the byte, an allow-list of headers, and never the caller’s credential', async () => {
    const body =
      '{ "model":"tiny",\t"max_tokens": 1.0, "messages":[{"role":"user","content":"\\u0041 é"}], "seed": 12345678901234567890 }'
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${gateway.keys.ana}`,
        cookie: 'session=secret',
        'x-custom': 'not forwarded',
        'openai-organization': 'org-1',
        'x-request-id': 'mine-1',
      },
      body,
    })
    await response.arrayBuffer()
    const { last } = model.stats()
    expect(last?.body).toBe(body)
    expect(response.headers.get('x-request-id')).toBe('mine-1')
    const sent = last?.headers as Record<string, string>
    expect(sent).toMatchObject({
      authorization: 'Bearer the-targets-own-key',
      'openai-organization': 'org-1',
      'x-request-id': 'mine-1',
    })
    expect(Object.keys(sent)).not.toContain('cookie')
    expect(Object.keys(sent)).not.toContain('x-custom')
    expect(JSON.stringify(last)).not.toContain(gateway.keys.ana)
  })

  it('leaves no secret in the audit log, the log, the status or the metrics', async () => {
    const wrong = gateway.keys.dev?.replace(/.$/, character => (character === 'A' ? 'B' : 'A')) as string
    expect((await chat(gateway, { key: wrong })).status).toBe(401)
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    const written = [gateway.audit(), gateway.log(), await gateway.status(), metrics]
      .map(part => JSON.stringify(part))
      .join('\n')
    for (const secret of [...Object.values(gateway.keys), wrong, 'the-targets-own-key', 'session=secret'])
      expect(written).not.toContain(secret)
  })
})
