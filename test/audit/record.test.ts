import { describe, expect, it } from 'vitest'
import { type DecisionRecord, decisionRecord, eventRecord, outcomeRecord } from '../../src/audit/record.ts'

const AT = Date.parse('2026-01-01T12:00:00.250Z')
const FACTS: DecisionRecord = {
  id: '01JD',
  requestId: 'req "1"\n',
  at: AT,
  path: 'gateway/decision',
  requestedBy: '203.0.113.7',
  http: { method: 'POST', path: '/v1/chat/completions' },
  revision: 'r1',
  labels: '{"app":"sallyport"}',
  input: '{"request":{"n":12345678901234567890}}',
  result: '{"allow":true}',
  principal: '{"id":"ana"}',
  erased: ['/input/request/body/messages'],
  limits: [{ name: 'rpm', key: 'ana', unit: 'requests', limit: 60, remaining: 59 }],
  evalNs: 4100,
}

describe('a decision record', () => {
  it('is a superset of the decision-log event of OPA', () => {
    expect(JSON.parse(decisionRecord(FACTS))).toMatchObject({
      event: 'decision',
      decision_id: '01JD',
      timestamp: '2026-01-01T12:00:00.250Z',
      path: 'gateway/decision',
      requested_by: '203.0.113.7',
      result: { allow: true },
      labels: { app: 'sallyport' },
      bundles: { gateway: { revision: 'r1' } },
      metrics: { timer_policy_eval_ns: 4100 },
      erased: ['/input/request/body/messages'],
      request_id: 'req "1"\n',
      http: { method: 'POST', path: '/v1/chat/completions' },
      principal: { id: 'ana' },
      limits: [{ name: 'rpm', remaining: 59 }],
    })
  })

  it('keeps the digits of its input', () => {
    expect(decisionRecord(FACTS)).toContain('12345678901234567890')
  })

  it('says neither code nor outcome when the request was let through', () => {
    const record = JSON.parse(decisionRecord(FACTS))
    expect(record).not.toHaveProperty('code')
    expect(record).not.toHaveProperty('outcome')
  })

  it('says code and outcome of a refusal, and what lay behind it', () => {
    const refused = decisionRecord({
      ...FACTS,
      code: 'policy_error',
      error: 'engine "fault"',
      http: { ...FACTS.http, status: 500 },
    })
    expect(JSON.parse(refused)).toMatchObject({
      outcome: 'refused',
      code: 'policy_error',
      error: 'engine "fault"',
      http: { status: 500 },
    })
  })

  it('is JSON on one line when all but nothing is known', () => {
    const { input: _, result: __, principal: ___, ...rest } = FACTS
    const text = decisionRecord({ ...rest, revision: null, requestedBy: 'a\nb' })
    expect(text).not.toContain('\n')
    expect(JSON.parse(text)).toMatchObject({ bundles: {}, requested_by: 'a\nb' })
  })
})

describe('an outcome record', () => {
  it('has the same decision id, and leaves out what is not known', () => {
    expect(JSON.parse(outcomeRecord({ id: '01JD', at: AT, outcome: 'interrupted' }))).toEqual({
      event: 'outcome',
      decision_id: '01JD',
      timestamp: '2026-01-01T12:00:00.250Z',
      outcome: 'interrupted',
    })
  })

  it('tells what was spent', () => {
    const usage = { input_tokens: 12, output_tokens: 0, cost: 0.5, estimated: false }
    expect(
      JSON.parse(outcomeRecord({ id: 'd', at: AT, outcome: 'completed', usage, pool: undefined })),
    ).toMatchObject({ usage })
  })
})

describe('an event record', () => {
  it('is JSON with facts and without', () => {
    expect(JSON.parse(eventRecord('gateway.stopped', AT))).toEqual({
      event: 'gateway.stopped',
      timestamp: '2026-01-01T12:00:00.250Z',
    })
    expect(JSON.parse(eventRecord('policy.activated', AT, { revision: 'r"1' }))).toMatchObject({
      revision: 'r"1',
    })
    expect(JSON.parse(eventRecord('x', AT, { revision: undefined }))).toEqual({
      event: 'x',
      timestamp: '2026-01-01T12:00:00.250Z',
    })
  })
})
