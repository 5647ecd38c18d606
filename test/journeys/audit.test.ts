import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { startUpstream, type UpstreamCall } from '../support/upstream.ts'

interface Verification {
  readonly ok: boolean
  readonly records: number
  readonly problems: readonly { file: string; line: number; seq: number; kind: string }[]
}

describe('the audit log', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm({ tokensPerSecond: 100 })
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const fileOf = (gateway: RunningGateway): string => path.join(gateway.folder, 'audit.jsonl')

  const verified = async (gateway: RunningGateway): Promise<Verification & { code: number }> => {
    const { code, stdout } = await gateway.command('audit', 'verify', '--format', 'json')
    return { code, ...(JSON.parse(stdout) as Verification) }
  }

  it('has a decision and an outcome for what was forwarded, and one line for what was refused', async () => {
    const gateway = await startGateway({
      targets: [model.url],
      keys: [{ principal: 'dev', roles: ['developer'], team: 'search' }],
    })
    const allowed = await chat(gateway, { headers: { 'x-request-id': 'mine' } })
    await allowed.arrayBuffer()
    const refused = await chat(gateway, { key: 'slp_nobody' })
    const of = (response: Response) =>
      gateway.audit().filter(record => record.decision_id === response.headers.get('x-decision-id'))

    const [decision, outcome, ...rest] = of(allowed)
    expect(rest).toEqual([])
    expect(decision).toMatchObject({
      event: 'decision',
      request_id: 'mine',
      path: 'gateway/decision',
      requested_by: '127.0.0.1',
      input: {
        request: { method: 'POST', path: '/v1/chat/completions', body: { model: 'tiny', max_tokens: 4 } },
        principal: { id: 'dev' },
      },
      result: { allow: true, rule: 'open' },
      principal: { id: 'dev', roles: ['developer'], team: 'search', method: 'api_key' },
      erased: ['/input/request/body/messages'],
      http: { method: 'POST', path: '/v1/chat/completions' },
    })
    expect(decision?.bundles.gateway.revision).toBe((await gateway.status()).policy.revision)
    expect(decision?.metrics.timer_policy_eval_ns).toBeGreaterThan(0)
    expect(decision?.code).toBeUndefined()
    expect(outcome).toMatchObject({
      event: 'outcome',
      outcome: 'completed',
      pool: 'chat',
      http: { status: 200 },
      usage: { estimated: false },
    })
    for (const time of ['decide', 'queue', 'first_byte', 'total'])
      expect(outcome?.timings[time]).toBeGreaterThanOrEqual(0)

    expect(of(refused)).toHaveLength(1)
    expect(of(refused)[0]).toMatchObject({
      event: 'decision',
      outcome: 'refused',
      code: 'unauthenticated',
      http: { status: 401 },
    })
  })

  it('leaves content out, unless the decision wants it kept', async () => {
    const policy = {
      'gateway.rego':
        'package gateway\n\ndecision := {"allow": true, "audit": {"content": input.request.headers["openai-keep"], "labels": {"cost_center": "42"}}}\n',
    }
    const gateway = await startGateway({ policy, targets: [model.url] })
    const ask = async (keep: string) => {
      const response = await chat(gateway, {
        headers: { 'openai-keep': keep },
        body: { messages: [{ role: 'user', content: `secret of ${keep}` }] },
      })
      const answer = await response.text()
      const records = gateway
        .audit()
        .filter(record => record.decision_id === response.headers.get('x-decision-id'))
      return { text: JSON.stringify(records), records, answer }
    }
    const none = await ask('none')
    expect(none.text).not.toContain('secret of none')
    expect(none.records[0]?.labels).toMatchObject({ cost_center: '42' })
    const request = await ask('request')
    expect(request.records[0]?.input.request.body.messages[0].content).toBe('secret of request')
    expect(request.records[0]?.erased).toEqual([])
    expect(request.records[1]?.response).toBeUndefined()
    expect((await ask('all')).records[1]?.response).toContain('chat.completion')
  })

  it('loses nothing that had an effect when the gateway is killed, closes what was open, and goes on in the same chain', async () => {
    const first = await startGateway({ targets: [model.url] })
    const streams = await Promise.all(
      Array.from({ length: 5 }, () =>
        chat(first, { body: { stream: true, max_tokens: 100_000, ignore_eos: true } }),
      ),
    )
    const ids = streams.map(response => response.headers.get('x-decision-id'))
    await first.stop('SIGKILL')
    for (const response of streams) await response.text().catch(() => {})
    const before = first.audit()
    for (const id of ids)
      expect(before.some(record => record.event === 'decision' && record.decision_id === id)).toBe(true)
    // A crash of the machine can leave half a line behind.
    writeFileSync(fileOf(first), '{"event":"decision","decision_id":"half', { flag: 'a' })
    expect((await verified(first)).code).toBe(1)

    const second = await startGateway({ folder: first.folder, targets: [model.url] })
    expect(second.audit().find(record => record.event === 'gateway.recovered')).toMatchObject({
      torn_bytes: 39,
      interrupted: 5,
      missing_records: 0,
    })
    const interrupted = second.audit().filter(record => record.outcome === 'interrupted')
    expect(interrupted.map(record => record.decision_id).sort()).toEqual([...ids].sort())
    await second.stop()
    expect(await verified(second)).toMatchObject({ code: 0, ok: true, problems: [] })
  })

  it('survives being killed at random moments under load, again and again', async () => {
    let gateway = await startGateway({ targets: [model.url] })
    const { keys } = gateway
    for (let round = 0; round < 5; round++) {
      const killedAfter = 5 + round * 7
      let answered = 0
      const seen: (string | null)[] = []
      const asking = Array.from({ length: 4 }, async () => {
        while (answered < killedAfter) {
          const response = await chat(gateway, { key: keys.dev, body: { max_tokens: 1 } }).catch(
            () => undefined,
          )
          if (!response) return
          await response.arrayBuffer().then(
            () => seen.push(response.headers.get('x-decision-id')),
            () => {},
          )
          answered++
        }
      })
      await Promise.race(asking)
      await gateway.stop('SIGKILL')
      await Promise.all(asking)
      gateway = await startGateway({ folder: gateway.folder, targets: [model.url] })
      const outcomes = new Set(
        gateway
          .audit()
          .filter(record => record.event === 'outcome')
          .map(record => record.decision_id),
      )
      for (const id of seen) expect(outcomes).toContain(id)
    }
    await gateway.stop()
    expect((await verified(gateway)).problems).toEqual([])
  })

  describe('is verified', () => {
    let gateway: RunningGateway
    let lines: string[]
    const tampered = async (changed: readonly string[]) => {
      writeFileSync(fileOf(gateway), `${changed.join('\n')}\n`)
      return verified(gateway)
    }

    it('and each kind of tampering is found in its line', async () => {
      gateway = await startGateway({ targets: [model.url] })
      for (let request = 0; request < 4; request++) await (await chat(gateway)).arrayBuffer()
      await gateway.stop()
      lines = readFileSync(fileOf(gateway), 'utf8').trimEnd().split('\n')
      expect(await verified(gateway)).toMatchObject({ code: 0, ok: true, records: lines.length })

      const changed = await tampered(
        lines.map((line, index) => (index === 2 ? line.replace('"dev"', '"eve"') : line)),
      )
      expect(changed).toMatchObject({
        code: 1,
        ok: false,
        problems: [{ file: 'audit.jsonl', line: 3, seq: 3, kind: 'changed' }],
      })
      expect((await tampered(lines.filter((_, index) => index !== 4))).problems).toMatchObject([
        { line: 5, seq: 6, kind: 'removed' },
      ])
      expect((await tampered(lines.slice(1))).problems).toMatchObject([{ line: 1, seq: 2, kind: 'removed' }])
      expect((await tampered(lines.slice(0, -2))).problems).toMatchObject([
        { seq: lines.length, kind: 'truncated' },
      ])
      const [a, b, c, d, ...others] = lines as [string, string, string, string, ...string[]]
      expect((await tampered([a, b, d, c, ...others])).problems.map(problem => problem.kind)).toContain(
        'reordered',
      )
      expect((await tampered(lines)).code).toBe(0)
    })
  })

  it('refuses with 503 when a record cannot be written, and forwards nothing', async () => {
    // A device that is always full.
    const gateway = await startGateway({
      targets: [model.url],
      config: { audit: { sinks: [{ type: 'file', path: '/dev/full' }] } },
    })
    const reached = model.stats().requests
    const response = await chat(gateway)
    expect([response.status, (await errorOf(response)).code]).toEqual([503, 'audit_unavailable'])
    expect(response.headers.get('retry-after')).not.toBeNull()
    expect(model.stats().requests).toBe(reached)
    expect((await gateway.status()).audit.ok).toBe(false)
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
  })

  it('keeps back the last part of a document whose length nobody said, until it is on record', async () => {
    const calls: UpstreamCall[] = []
    const upstream = await startUpstream({
      onCall({ response }) {
        calls.push({ response } as UpstreamCall)
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write('{"choices":')
      },
    })
    onTestFinished(() => upstream.close())
    const gateway = await startGateway({ targets: [upstream.url] })
    const read: string[] = []
    const asked = () =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const headers = { authorization: `Bearer ${gateway.keys.dev}`, 'content-type': 'application/json' }
        http
          .request(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers }, resolve)
          .on('error', reject)
          .end('{"model":"tiny"}')
      })

    const wholeComes = asked()
    await upstream.came(1)
    calls[0]?.response.write('[]}')
    const whole = await wholeComes
    whole.on('data', part => read.push(String(part)))
    await expect.poll(() => read).toEqual(['{"choices":'])
    calls[0]?.response.end()
    await once(whole, 'end')
    expect(read).toEqual(['{"choices":', '[]}'])

    const halfComes = asked()
    await upstream.came(2)
    calls[1]?.response.write('[]}')
    const half = await halfComes
    await once(half, 'data')
    calls[1]?.response.destroy()
    await once(half, 'error')
    await gateway.audited(({ outcome }) => outcome === 'upstream_failed')
    const outcomes = gateway.audit().filter(({ event }) => event === 'outcome')
    const ends = outcomes.map(({ outcome, http }) => [outcome, http.bytes_out])
    expect(ends).toEqual([
      ['completed', 14],
      ['upstream_failed', 11],
    ])
  })
})
