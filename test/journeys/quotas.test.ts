import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { chance } from '../support/random.ts'
import { startUpstream } from '../support/upstream.ts'

/** Everybody may do everything within these limits. */
const limited = (...limits: string[]): Record<string, string> => ({
  'gateway.rego': `package gateway\n\ndecision := {"allow": true, "rule": "open", "limits": [${limits.join(', ')}]}\n`,
})
const TOKENS =
  '{"name": "tokens", "key": input.principal.id, "unit": "tokens", "limit": 10000, "window": "calendar_day", "timezone": "Europe/Berlin"}'
const OUTPUT =
  '{"name": "output", "key": input.principal.id, "unit": "output_tokens", "limit": 100, "window": "1h"}'

describe('quotas on tokens and cost', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const left = async (gateway: RunningGateway): Promise<Record<string, number>> => {
    const answer = await fetch(`${gateway.url}/-/whoami`, {
      headers: { authorization: `Bearer ${gateway.keys.dev}` },
    })
    const { limits } = (await answer.json()) as { limits: { name: string; remaining: number }[] }
    return Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]))
  }

  it('reserve what an answer may take, and settle on what the server reports', async () => {
    const gateway = await startGateway({ policy: limited(OUTPUT, TOKENS), targets: [model.url] })
    const response = await chat(gateway, { body: { max_tokens: 30, stop: ['.'] } })
    expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('100')
    expect(response.headers.get('x-ratelimit-remaining-tokens')).toBe('70')
    const { usage } = (await response.json()) as {
      usage: { completion_tokens: number; total_tokens: number }
    }
    await gateway.audited(({ event }) => event === 'outcome')
    expect(await left(gateway)).toEqual({
      output: 100 - usage.completion_tokens,
      tokens: 10_000 - usage.total_tokens,
    })
  })

  it('refuse with quota_exceeded what would not fit, and spend nothing on it', async () => {
    const gateway = await startGateway({ policy: limited(TOKENS, OUTPUT), targets: [model.url] })
    const refused = await chat(gateway, { body: { max_tokens: 101 } })
    expect([refused.status, (await errorOf(refused)).code]).toEqual([429, 'quota_exceeded'])
    expect(await left(gateway)).toEqual({ output: 100, tokens: 10_000 })
    expect((await chat(gateway, { body: { max_tokens: 100 } })).status).toBe(200)
  })

  it('cost as much by a call that names no model as by the dearest that could answer it', async () => {
    const cost = '{"name": "cost", "key": input.principal.id, "unit": "cost", "limit": 0.001, "window": "1h"}'
    const upstream = await startUpstream({
      onCall: ({ response }) =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"content":"x","timings":{"prompt_n":30,"cache_n":20,"predicted_n":100}}'),
    })
    const gateway = await startGateway({
      policy: limited(cost),
      targets: [upstream.url],
      config: { pricing: { tiny: { input: 1, output: 5 } } },
    })
    const complete = () =>
      fetch(`${gateway.url}/completion`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gateway.keys.dev}`, 'content-type': 'application/json' },
        body: '{"prompt":"x","n_predict":150}',
      })
    expect((await complete()).status).toBe(200)
    const { usage } = await gateway.audited(({ event }) => event === 'outcome')
    expect(usage).toEqual({ input_tokens: 50, output_tokens: 100, cost: 0.00055, estimated: false })
    expect((await errorOf(await complete())).code).toBe('quota_exceeded')
    await upstream.close()
  })

  it('say of a model that no pool serves that it does not exist, also where its cost is limited', async () => {
    const cost = '{"name": "cost", "key": "k", "unit": "cost", "limit": 1, "window": "1h"}'
    const gateway = await startGateway({ policy: limited(cost, TOKENS), targets: [model.url] })
    const refused = await chat(gateway, { body: { model: 'nobody' } })
    expect([refused.status, (await errorOf(refused)).code]).toEqual([404, 'model_not_found'])
  })

  it('ask a stream for its usage, and hide it from a client that did not', async () => {
    const gateway = await startGateway({ policy: limited(TOKENS), targets: [model.url] })
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.dev ?? '', maxRetries: 0 })
    const count = async (options: object) => {
      const stream = await client.chat.completions.create({
        model: 'tiny',
        stream: true,
        max_tokens: 12,
        messages: [{ role: 'user', content: 'the gate' }],
        ...options,
      })
      let usages = 0
      for await (const chunk of stream as AsyncIterable<{ usage?: object | null; choices: unknown[] }>)
        if (chunk.usage) usages++
      return usages
    }
    expect(await count({})).toBe(0)
    expect(JSON.parse(String(model.stats().last?.body))).toMatchObject({
      stream_options: { include_usage: true },
    })
    const hidden = (await gateway.audited(({ event }) => event === 'outcome')).usage
    expect(hidden).toMatchObject({ estimated: false })
    expect(await count({ stream_options: { include_usage: true } })).toBe(1)
    expect((await left(gateway)).tokens).toBe(10_000 - 2 * (hidden.input_tokens + hidden.output_tokens))
  })

  it('charge a stream that the client left half-way for what was generated, once', async () => {
    const slow = await startTinySlm({ tokensPerSecond: 200 })
    const plenty = 10_000_000
    const gateway = await startGateway({
      policy: limited(TOKENS.replace('10000', String(plenty))),
      targets: [slow.url],
    })
    const { integer } = chance(7)
    let charged = 0
    for (let stream = 0; stream < 12; stream++) {
      const leaving = new AbortController()
      const response = await chat(gateway, {
        body: { stream: true, max_tokens: 100_000, ignore_eos: true },
        signal: leaving.signal,
      })
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      for (let part = 0; part < 1 + integer(8); part++) await reader.read()
      leaving.abort()
      const id = response.headers.get('x-decision-id')
      const outcome = await gateway.audited(record => record.event === 'outcome' && record.decision_id === id)
      expect(outcome).toMatchObject({ outcome: 'client_closed', usage: { estimated: true } })
      charged += outcome.usage.input_tokens + outcome.usage.output_tokens
    }
    await slow.until(stats => stats.in_flight === 0)
    expect((await left(gateway)).tokens).toBe(plenty - charged)
    const outputs = gateway.audit().reduce((sum, { usage }) => sum + (usage?.output_tokens ?? 0), 0)
    // What was generated and still on its way when the client left is all that may be missing.
    expect(outputs).toBeGreaterThan(0)
    expect(outputs).toBeLessThanOrEqual(slow.stats().generated_tokens)
    await slow.close()
  })

  it('hold under parallel requests: what was let through never exceeds the limit', async () => {
    const policy = limited(
      '{"name": "output", "key": "all", "unit": "output_tokens", "limit": 200, "window": "1h"}',
    )
    const gateway = await startGateway({ policy, targets: [model.url] })
    const statuses = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const response = await chat(gateway, { body: { max_tokens: 10, ignore_eos: true } })
        await response.arrayBuffer()
        return response.status
      }),
    )
    expect(statuses.filter(status => status === 200)).toHaveLength(20)
    expect(statuses.filter(status => status === 429)).toHaveLength(40)
    expect((await left(gateway)).output).toBe(0)
  })

  it('count cost by the price of the model, and refuse a model that has none', async () => {
    const cost =
      '{"name": "budget", "key": input.principal.id, "unit": "cost", "limit": 0.01, "window": "calendar_month"}'
    const gateway = await startGateway({
      policy: limited(cost),
      config: {
        pricing: { tiny: { input: 100, output: 200 } },
        pools: { chat: { models: ['tiny', 'free'], targets: [{ url: model.url }] } },
      },
    })
    const response = await chat(gateway, { body: { max_tokens: 10, ignore_eos: true } })
    await response.arrayBuffer()
    const { usage } = await gateway.audited(({ event }) => event === 'outcome')
    const price = (usage.input_tokens * 100 + usage.output_tokens * 200) / 1e6
    expect(usage.cost).toBeCloseTo(price, 9)
    expect((await left(gateway)).budget).toBeCloseTo(0.01 - price, 6)
    const unpriced = await chat(gateway, { body: { model: 'free' } })
    expect([unpriced.status, (await errorOf(unpriced)).code]).toEqual([500, 'policy_error'])
  })

  it('that only observe count without refusing', async () => {
    const watched = TOKENS.replace('10000', '1').replace('}', ', "mode": "observe"}')
    const gateway = await startGateway({ policy: limited(watched), targets: [model.url] })
    for (let request = 0; request < 3; request++) expect((await chat(gateway)).status).toBe(200)
    expect((await chat(gateway)).headers.get('ratelimit')).toBeNull()
  })

  it('in a time zone that does not exist make the decision invalid', async () => {
    const gateway = await startGateway({
      policy: limited(TOKENS.replace('Europe/Berlin', 'Mars/Base')),
      targets: [model.url],
    })
    expect((await chat(gateway)).status).toBe(503)
    expect(JSON.stringify((await gateway.status()).policy.attempts[0].diagnostics)).toContain('timezone')
  })
})
