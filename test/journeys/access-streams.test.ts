import OpenAI, { APIError } from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask, call, PEOPLE } from '../support/access.ts'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

describe('streams under a grant', () => {
  let slow: TinySlm
  beforeAll(async () => {
    slow = await startTinySlm({ tokensPerSecond: 5 })
  })
  afterEach(async () => {
    slow.setFault(null)
    await stopAll()
  })
  afterAll(() => slow.close())

  // Without its own end: a model that has said all before its time is over would prove nothing.
  const long = { stream: true, max_tokens: 4000, ignore_eos: true } as const
  const start = () => startGateway({ policy: ACCESS_POLICY, targets: [slow.url], keys: PEOPLE })
  const outcomes = (gateway: RunningGateway) => gateway.audit().filter(record => record.event === 'outcome')
  const grantOf = async (gateway: RunningGateway, who: string, duration = '1h') =>
    (await ask(gateway, who, { duration })).body.grant as { id: string; expires_at: string }

  it('end when it is revoked, all two hundred of them, and nobody else’s do', async () => {
    const gateway = await start()
    const grant = await grantOf(gateway, 'ona')
    const streams = await Promise.all(
      Array.from({ length: 200 }, () => chat(gateway, { key: gateway.keys.ona, body: long })),
    )
    const leaving = new AbortController()
    const other = await chat(gateway, { key: gateway.keys.ana, body: long, signal: leaving.signal })
    expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]))
    // Of what each has to say it has said next to nothing: a quarter of an hour of it is left.
    expect((await call(gateway, 'lea', `DELETE /-/access/grants/${grant.id}`)).status).toBe(200)
    const texts = await Promise.all(streams.map(stream => stream.text()))
    for (const text of texts) expect(text).toMatch(/event: error|"error"/)
    for (const text of texts) expect(text).not.toContain('[DONE]')
    await expect.poll(() => outcomes(gateway).length).toBe(200)
    for (const { outcome, grants } of outcomes(gateway))
      expect([outcome, grants]).toEqual(['revoked', [{ id: grant.id, emergency: false }]])
    expect((await (other.body as ReadableStream).getReader().read()).done).toBe(false)
    leaving.abort()
  })

  it('end when its time is over, so that an SDK raises', async () => {
    const gateway = await start()
    const grant = await grantOf(gateway, 'ona', '4s')
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.keys.ona ?? '', maxRetries: 0 })
    const stream = await client.chat.completions.create({
      ...long,
      model: 'tiny',
      messages: [{ role: 'user', content: 'x' }],
    })
    const reading = (async () => {
      for await (const _ of stream);
    })()
    await expect(reading).rejects.toThrow(APIError)
    const outcome = await gateway.audited(record => record.event === 'outcome')
    expect(outcome.outcome).toBe('expired')
    expect(Date.parse(outcome.timestamp)).toBeGreaterThanOrEqual(Date.parse(grant.expires_at))
    await gateway.audited(record => record.event === 'access.expired')
    expect((await chat(gateway, { key: gateway.keys.ona })).status).toBe(403)
  })

  it('are refused where the first byte is still on its way', async () => {
    slow.setFault('hang')
    const gateway = await start()
    const grant = await grantOf(gateway, 'ona')
    const before = slow.stats().requests
    const asked = chat(gateway, { key: gateway.keys.ona, body: long })
    await slow.until(stats => stats.requests === before + 1)
    await call(gateway, 'ona', `DELETE /-/access/grants/${grant.id}`)
    const response = await asked
    expect([response.status, (await errorOf(response)).code]).toEqual([403, 'forbidden'])
    expect((await gateway.audited(record => record.event === 'outcome')).outcome).toBe('revoked')
  })

  it('go on where another grant allows the same', async () => {
    const gateway = await start()
    const [first, second] = [await grantOf(gateway, 'ona'), await grantOf(gateway, 'ona', '30m')]
    const leaving = new AbortController()
    const stream = await chat(gateway, { key: gateway.keys.ona, body: long, signal: leaving.signal })
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
    await call(gateway, 'lea', `DELETE /-/access/grants/${first.id}`)
    expect((await reader.read()).done).toBe(false)
    expect(outcomes(gateway)).toEqual([])
    await call(gateway, 'lea', `DELETE /-/access/grants/${second.id}`)
    while (!(await reader.read()).done);
    expect(outcomes(gateway)).toMatchObject([{ outcome: 'revoked' }])
  })
})
