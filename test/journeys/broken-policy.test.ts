import { rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, OPEN_POLICY, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'

const rule = (body: string): Record<string, string> => ({ 'gateway.rego': `package gateway\n\n${body}\n` })

/** How a policy can be broken, what is said of it, and in which line. */
const BROKEN: readonly {
  readonly name: string
  readonly policy: Record<string, string>
  readonly line: number
  readonly says: string
}[] = [
  { name: 'a syntax error', policy: rule('decision := {"allow" true}'), line: 3, says: 'rego_parse_error' },
  {
    name: 'a name that the input does not have',
    policy: rule(
      'default decision := {"allow": false}\n\ndecision := {"allow": true} if input.request.boddy.model',
    ),
    line: 5,
    says: 'input.request.boddy',
  },
  {
    name: 'a builtin that is not offered',
    policy: rule('decision := {"allow": http.send({"url": "http://x"}).status_code == 200}'),
    line: 3,
    says: 'http.send',
  },
  {
    name: 'an entrypoint that is not there',
    policy: rule('verdict := {"allow": true}'),
    line: 0,
    says: 'gateway/decision',
  },
  {
    name: 'a decision with an unknown key',
    policy: rule('decision := {"allow": true, "limit": []}'),
    line: 0,
    says: 'limit',
  },
  { name: 'a decision that is no object', policy: rule('decision := true'), line: 0, says: 'wrong shape' },
  {
    name: 'a limit in a unit that is not there',
    policy: rule(
      'decision := {"allow": true, "limits": [{"name": "n", "key": "k", "unit": "wishes", "limit": 3, "window": "1m"}]}',
    ),
    line: 0,
    says: 'limits/0/unit',
  },
  {
    name: 'a test of its own that fails',
    policy: {
      ...OPEN_POLICY,
      'gateway_test.rego':
        'package gateway_test\n\nimport data.gateway\n\ntest_refuses if not gateway.decision.allow\n',
    },
    line: 5,
    says: 'test_refuses',
  },
]

describe('a policy that is broken', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const refusal = async (gateway: RunningGateway) => (await gateway.status()).policy.attempts[0]

  it.each(BROKEN)(
    'at start, with $name: refuses everything with 503, is not ready, and recovers when it is mended',
    async ({ policy, line, says }) => {
      const gateway = await startGateway({ policy, targets: [model.url] })
      const response = await chat(gateway)
      expect([response.status, (await errorOf(response)).code]).toEqual([503, 'policy_error'])
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
      expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
      expect((await fetch(`${gateway.adminUrl}/healthz`)).status).toBe(200)
      const attempt = await refusal(gateway)
      expect(attempt).toMatchObject({ outcome: 'refused', revision: null })
      expect(JSON.stringify(attempt.diagnostics)).toContain(says)
      expect(attempt.diagnostics[0].line).toBe(line)

      for (const file of Object.keys(policy)) rmSync(path.join(gateway.folder, 'policies', file))
      gateway.writePolicy(OPEN_POLICY)
      await gateway.logged('policy_activated')
      expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
      expect((await chat(gateway)).status).toBe(200)
    },
  )

  it.each(BROKEN)(
    'at reload, with $name: the old revision stays in force',
    async ({ policy, line, says }) => {
      const gateway = await startGateway({ policy: OPEN_POLICY, targets: [model.url] })
      const { revision } = await gateway.logged('policy_activated')
      gateway.writePolicy(policy)
      const refused = await gateway.logged('policy_refused')
      expect(JSON.stringify(refused.diagnostics)).toContain(says)
      const attempt = await refusal(gateway)
      expect(attempt.diagnostics[0].line).toBe(line)
      if (line > 0) expect(attempt.diagnostics[0].file).toMatch(/^policies\/gateway(_test)?\.rego$/)
      expect((await gateway.status()).policy.revision).toBe(revision)
      expect((await chat(gateway)).status).toBe(200)
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
      expect(metrics).toContain('sallyport_policy_reloads_total{outcome="refused"} 1')
      expect(gateway.audit().some(record => record.event === 'policy.refused')).toBe(true)
    },
  )

  it('that is gone altogether leaves the last one in force, and says so', async () => {
    const gateway = await startGateway({ policy: OPEN_POLICY, targets: [model.url] })
    await gateway.logged('policy_activated')
    rmSync(path.join(gateway.folder, 'policies'), { recursive: true })
    const { diagnostics } = await gateway.logged('policy_refused')
    expect(diagnostics).toMatchObject([
      { code: 'unreadable_source', file: 'policies', message: 'there is no such file or folder' },
    ])
    expect((await chat(gateway)).status).toBe(200)
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\ndecision := {"allow": false}\n' })
    await gateway.logged('policy_activated')
    expect((await chat(gateway)).status).toBe(403)
  })

  it('and answers wrongly only for some inputs refuses those with 500 and serves the rest', async () => {
    const policy = rule(
      'decision := {"allow": true} if input.request.model == "tiny"\n\ndecision := {"alow": true} if input.request.model == "odd"\n',
    )
    const gateway = await startGateway({ policy, targets: [model.url] })
    await gateway.logged('policy_activated')
    expect((await chat(gateway)).status).toBe(200)
    for (const model of ['odd', 'undefined-for-this']) {
      const response = await chat(gateway, { body: { model } })
      expect([response.status, (await errorOf(response)).code]).toEqual([500, 'policy_error'])
      const id = response.headers.get('x-decision-id')
      const record = await gateway.audited(({ decision_id }) => decision_id === id)
      expect(record).toMatchObject({
        event: 'decision',
        outcome: 'refused',
        code: 'policy_error',
        http: { status: 500 },
      })
    }
  })
})
