import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const MANY = 100_000

function metrics() {
  const made = createMetrics({
    models: () => ['tiny', 'big'],
    targets: () => [
      { pool: 'chat', target: 'http://a', up: true, inFlight: 3, slots: 4, breakerOpen: false },
      { pool: 'chat', target: 'http://b', up: false, inFlight: 0, slots: undefined, breakerOpen: true },
    ],
    queues: () => [{ pool: 'chat', depth: 7 }],
    grants: async () => 1,
    limitsUsed: () => new Map([['per_day', 0.75]]),
  })
  /** The lines of one metric, in the exposition format. */
  const lines = async (name: string): Promise<string[]> =>
    (await made.text()).split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return { made, lines }
}
const request = {
  principal: 'ana',
  pool: 'chat',
  model: 'tiny',
  outcome: 'completed',
  code: 'ok',
  seconds: 0.2,
}
const operation = {
  operation: 'chat',
  provider: 'openai',
  model: 'tiny',
  seconds: 0.2,
  error: undefined,
  usage: { inputTokens: 12, outputTokens: 30 },
}

describe('metrics', () => {
  it('count requests by pool, model, outcome and code', async () => {
    const { made, lines } = metrics()
    made.request(request)
    made.request({ ...request, pool: undefined, model: null, outcome: 'refused', code: 'unauthenticated' })
    expect(await lines('sallyport_requests_total')).toEqual([
      'sallyport_requests_total{pool="chat",model="tiny",outcome="completed",code="ok"} 1',
      'sallyport_requests_total{pool="none",model="none",outcome="refused",code="unauthenticated"} 1',
    ])
  })

  /** A model is what any caller writes into a body; each new label is memory for ever. */
  it('stay as small as they are with a hundred thousand hostile model names', async () => {
    const { made, lines } = metrics()
    for (let number = 0; number < MANY; number++) {
      const model = `x${number}"}\n{`
      made.request({ ...request, model })
      made.firstToken('chat', 'openai', model, 0.1)
      made.operation({ ...operation, model, error: model })
      made.tokens('ana', model, 1, 1)
    }
    made.request({ ...request, model: '__proto__' })
    expect(await lines('sallyport_requests_total')).toEqual([
      `sallyport_requests_total{pool="chat",model="other",outcome="completed",code="ok"} ${MANY + 1}`,
    ])
    expect(await lines('sallyport_tokens_total')).toHaveLength(2)
    expect(await lines('gen_ai_server_time_to_first_token_count')).toHaveLength(1)
    expect(await lines('gen_ai_client_token_usage_count')).toHaveLength(2)
    expect((await lines('gen_ai_client_operation_duration_count')).length).toBeLessThanOrEqual(201)
  })

  it('tell calls to models in the words of OpenTelemetry', async () => {
    const { made, lines } = metrics()
    made.operation(operation)
    made.operation({ ...operation, operation: 'embedding', error: 'upstream_timeout', usage: undefined })
    expect(await lines('gen_ai_client_operation_duration_count')).toEqual([
      'gen_ai_client_operation_duration_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="tiny"} 1',
      'gen_ai_client_operation_duration_count{gen_ai_operation_name="embeddings",gen_ai_provider_name="openai",gen_ai_request_model="tiny",error_type="upstream_timeout"} 1',
    ])
    expect(await lines('gen_ai_client_token_usage_sum')).toEqual([
      expect.stringMatching(/gen_ai_token_type="input"\} 12$/),
      expect.stringMatching(/gen_ai_token_type="output"\} 30$/),
    ])
  })

  it('read queues, grants and limits when they are asked', async () => {
    const { lines } = metrics()
    expect([
      ...(await lines('sallyport_queue_depth')),
      ...(await lines('sallyport_grants_active')),
      ...(await lines('sallyport_limit_used_ratio')),
    ]).toEqual([
      'sallyport_queue_depth{pool="chat"} 7',
      'sallyport_grants_active 1',
      'sallyport_limit_used_ratio{name="per_day"} 0.75',
    ])
  })

  it('tell a refusal of a millisecond from one of two, and a stream of four minutes from one of five', async () => {
    const { made, lines } = metrics()
    for (const seconds of [0.0009, 0.0019, 239, 299]) made.request({ ...request, seconds })
    const counts = (await lines('sallyport_request_duration_seconds_bucket')).map(line =>
      Number(line.split(' ')[1]),
    )
    expect([...new Set(counts)]).toEqual([0, 1, 2, 3, 4])
  })

  it('stay bounded when a policy makes names up', async () => {
    const { made, lines } = metrics()
    for (let number = 0; number < 5000; number++) {
      made.decision(`rule_${number}`, false, 0.00001)
      made.limitRefusal(`limit_${number}`)
      made.request({ ...request, outcome: 'refused', code: `code_${number}` })
      made.tokens(`principal-${number}`, 'tiny', 1, 1)
      made.operation({ ...operation, error: `code_${number}` })
    }
    for (const name of [
      'sallyport_decisions_total',
      'sallyport_limit_refusals_total',
      'sallyport_requests_total',
    ]) {
      const found = await lines(name)
      expect(found.length, name).toBeLessThanOrEqual(201)
      expect(
        found.some(line => line.includes('"other"')),
        name,
      ).toBe(true)
    }
  })

  it('stay bounded in principals', async () => {
    const { made, lines } = metrics()
    for (let number = 0; number < 20_000; number++) {
      made.tokens(`principal-${number}`, 'tiny', 1, 0)
      made.request({ ...request, principal: `principal-${number}` })
    }
    expect((await lines('sallyport_principal_requests_total')).length).toBeLessThanOrEqual(10_001)
    expect((await lines('sallyport_tokens_total')).length).toBeLessThanOrEqual(20_002)
  })

  it('tell decisions by rule, also one that names none', async () => {
    const { made, lines } = metrics()
    made.decision('office_hours', true, 0.00001)
    made.decision(undefined, false, 0.00001)
    expect(await lines('sallyport_decisions_total')).toEqual([
      'sallyport_decisions_total{rule="office_hours",allow="true"} 1',
      'sallyport_decisions_total{rule="none",allow="false"} 1',
    ])
  })

  it('count tokens in both directions, a zero too', async () => {
    const { made, lines } = metrics()
    made.tokens('ana', 'tiny', 12, 0)
    expect(await lines('sallyport_tokens_total')).toEqual([
      expect.stringMatching(/\{(?=.*model="tiny")(?=.*principal="ana")(?=.*direction="input").*\} 12$/),
      expect.stringMatching(/\{.*direction="output".*\} 0$/),
    ])
  })

  it('name one revision as the one in force', async () => {
    const { made, lines } = metrics()
    made.policy('r1')
    made.policy('r2')
    expect(await lines('sallyport_policy_info')).toEqual(['sallyport_policy_info{revision="r2"} 1'])
  })

  it('tell how targets are and how many requests wait, as it is at that moment', async () => {
    const { lines } = metrics()
    const [a, b] = ['{pool="chat",target="http://a"}', '{pool="chat",target="http://b"}']
    expect(await lines('sallyport_target_up')).toEqual([
      `sallyport_target_up${a} 1`,
      `sallyport_target_up${b} 0`,
    ])
    expect(await lines('sallyport_target_in_flight')).toEqual([
      `sallyport_target_in_flight${a} 3`,
      `sallyport_target_in_flight${b} 0`,
    ])
    expect(await lines('sallyport_target_slots')).toEqual([`sallyport_target_slots${a} 4`])
    expect(await lines('sallyport_target_breaker_open')).toEqual([
      `sallyport_target_breaker_open${a} 0`,
      `sallyport_target_breaker_open${b} 1`,
    ])
    expect(await lines('sallyport_queue_depth')).toEqual(['sallyport_queue_depth{pool="chat"} 7'])
  })

  it('tell reloads and audit records by how they ended', async () => {
    const { made, lines } = metrics()
    made.reload('activated')
    made.reload('refused')
    made.auditRecords('file', 5, 'written')
    expect(await lines('sallyport_policy_reloads_total')).toEqual([
      'sallyport_policy_reloads_total{outcome="activated"} 1',
      'sallyport_policy_reloads_total{outcome="refused"} 1',
      'sallyport_policy_reloads_total{outcome="rolled_back"} 0',
    ])
    expect(await lines('sallyport_audit_records_total')).toEqual([
      'sallyport_audit_records_total{sink="file",outcome="written"} 5',
      'sallyport_audit_records_total{sink="file",outcome="failed"} 0',
    ])
  })

  it('of two gateways in one process are two', async () => {
    const [one, other] = [metrics(), metrics()]
    one.made.request(request)
    expect(await other.lines('sallyport_requests_total')).toEqual([])
  })
})
