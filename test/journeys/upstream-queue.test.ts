import { afterEach, describe, expect, it, vi } from 'vitest'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

/** The priority is what the body says. */
const PRIORITY = {
  'gateway.rego': `package gateway

default wanted := 0

wanted := input.request.body.p

decision := {"allow": true, "priority": wanted, "reasons": [sprintf("%d queued", [input.pools.chat.queued])]}
`,
}

describe('a queue', () => {
  const upstreams: Upstream[] = []
  afterEach(async () => {
    for (const upstream of upstreams.splice(0)) await upstream.close()
    await stopAll()
  })

  async function oneSlot(
    pool: object = {},
  ): Promise<{ readonly gateway: RunningGateway; readonly upstream: Upstream }> {
    const upstream = await startUpstream()
    upstreams.push(upstream)
    const targets = [{ url: upstream.url, slots: 1 }]
    const gateway = await startGateway({
      policy: PRIORITY,
      keys: [{ principal: 'dev' }, { principal: 'ana' }, { principal: 'bob' }],
      config: { pools: { chat: { models: ['tiny'], targets, ...pool } } },
    })
    return { gateway, upstream }
  }

  const queued = async (gateway: RunningGateway, count: number): Promise<void> =>
    vi.waitFor(async () => expect((await gateway.status()).pools.chat.queued).toBe(count), {
      timeout: 10_000,
    })

  const nameOf = (call: { body: string } | undefined): string => JSON.parse(call?.body ?? '{}').user

  it('takes the higher priority first, and tells everybody how many wait', async () => {
    const { gateway, upstream } = await oneSlot()
    const ask = (user: string, p: number) => chat(gateway, { body: { user, p } })
    const answers = [ask('first', 0)]
    await upstream.came(1)
    for (const [user, p] of [
      ['low', -1],
      ['usual', 0],
      ['high', 7],
    ] as const) {
      answers.push(ask(user, p))
      await queued(gateway, answers.length - 1)
    }
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('sallyport_queue_depth{pool="chat"} 3')
    expect(metrics).toContain(`sallyport_target_in_flight{pool="chat",target="${upstream.url}"} 1`)
    for (let served = 0; served < 4; served++) {
      await upstream.came(served + 1)
      expect((await gateway.status()).pools.chat.targets[0].in_flight).toBe(1)
      upstream.calls[served]?.answer()
    }
    expect(upstream.calls.map(nameOf)).toEqual(['first', 'high', 'usual', 'low'])
    for (const answer of answers) expect((await answer).status).toBe(200)
    const id = (await answers[1])?.headers.get('x-decision-id')
    const outcome = await gateway.audited(record => record.event === 'outcome' && record.decision_id === id)
    expect(outcome.timings.queue).toBeGreaterThan(0)
    expect(outcome.timings.queue).toBeLessThanOrEqual(outcome.timings.first_byte)
    const last = await gateway.audited(record => record.event === 'decision' && record.result?.priority === 7)
    expect(last.result.reasons).toEqual(['2 queued'])
  })

  it('lets principals take turns: one that sends many does not starve one that sends few', async () => {
    const { gateway, upstream } = await oneSlot()
    const ask = (user: string, key: string | undefined) => chat(gateway, { key, body: { user } })
    const answers = [ask('running', gateway.keys.dev)]
    await upstream.came(1)
    for (const user of ['a1', 'a2', 'a3', 'a4']) {
      answers.push(ask(user, gateway.keys.ana))
      await queued(gateway, answers.length - 1)
    }
    answers.push(ask('b1', gateway.keys.bob))
    await queued(gateway, 5)
    for (let served = 0; served < 6; served++) {
      await upstream.came(served + 1)
      upstream.calls[served]?.answer()
    }
    await Promise.all(answers)
    expect(upstream.calls.map(nameOf)).toEqual(['running', 'a1', 'b1', 'a2', 'a3', 'a4'])
  })

  it('that is full refuses at once with 503 and Retry-After, costs nothing, and sheds what may be shed', async () => {
    const { gateway, upstream } = await oneSlot({ queue: { max: 1, timeout: '30s' } })
    const running = chat(gateway)
    await upstream.came(1)
    const sheddable = chat(gateway, { body: { p: -5 } })
    await queued(gateway, 1)
    const waiting = chat(gateway)
    const shed = await sheddable
    expect([shed.status, (await errorOf(shed)).code]).toEqual([503, 'overloaded'])
    const refused = await chat(gateway)
    expect([refused.status, (await errorOf(refused)).code]).toEqual([503, 'overloaded'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const id = refused.headers.get('x-decision-id')
    expect(
      await gateway.audited(record => record.event === 'outcome' && record.decision_id === id),
    ).toMatchObject({ outcome: 'refused', code: 'overloaded', http: { status: 503 } })
    upstream.calls[0]?.answer()
    await upstream.came(2)
    upstream.calls[1]?.answer()
    expect([(await running).status, (await waiting).status]).toEqual([200, 200])
    expect(upstream.calls).toHaveLength(2)
  })

  it('refuses who waited too long', async () => {
    const { gateway, upstream } = await oneSlot({ queue: { max: 10, timeout: '200ms' } })
    const running = chat(gateway)
    await upstream.came(1)
    const late = await chat(gateway)
    expect([late.status, (await errorOf(late)).code]).toEqual([503, 'overloaded'])
    expect(late.headers.get('retry-after')).not.toBeNull()
    upstream.calls[0]?.answer()
    expect((await running).status).toBe(200)
    expect(upstream.calls).toHaveLength(1)
  })

  it('frees the place of a client that leaves, and never sends its request', async () => {
    const { gateway, upstream } = await oneSlot()
    const running = chat(gateway)
    await upstream.came(1)
    const leaving = new AbortController()
    const gone = chat(gateway, { signal: leaving.signal, body: { user: 'gone' } })
    await queued(gateway, 1)
    const patient = chat(gateway, { body: { user: 'patient' } })
    await queued(gateway, 2)
    leaving.abort()
    await expect(gone).rejects.toThrow()
    await queued(gateway, 1)
    expect((await gateway.audited(record => record.event === 'outcome')).outcome).toBe('client_closed')
    upstream.calls[0]?.answer()
    await upstream.came(2)
    upstream.calls[1]?.answer()
    expect([(await running).status, (await patient).status]).toEqual([200, 200])
    expect(nameOf(upstream.calls[1])).toBe('patient')
  })
})
