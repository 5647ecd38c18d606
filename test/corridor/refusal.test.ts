import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/contract/decision.schema.ts'
import { GatewayError, REFUSALS } from '../../src/contract/errors.ts'
import { PolicyRefusal, refusalOf } from '../../src/corridor/refusal.ts'

const told = (decision: Partial<Decision>) => refusalOf(new PolicyRefusal({ allow: false, ...decision })).told

describe('what a policy refuses', () => {
  it('is told in the words of the policy, and needs no error in the record', () => {
    const decision: Decision = {
      allow: false,
      status: 429,
      code: 'slow_down',
      message: 'Slower, please',
      reasons: ['internal'],
      retry_after: '1m30s',
      access: { requestable: true, models: ['tiny'] },
    }
    const refusal = refusalOf(new PolicyRefusal(decision))
    expect(refusal).toEqual({
      told: {
        status: 429,
        code: 'slow_down',
        message: 'Slower, please',
        headers: {},
        retryAfterSeconds: 90,
        extra: {
          access: { requestable: true, models: ['tiny'] },
          access_request: {
            method: 'POST',
            path: '/-/access/requests',
            body: { models: ['tiny'], duration: '1h', reason: '…' },
          },
        },
      },
      error: undefined,
    })
    expect(JSON.stringify(refusal)).not.toContain('internal')
  })

  it('is forbidden with 403 when the policy says no more', () => {
    expect(told({})).toMatchObject({
      status: 403,
      code: 'forbidden',
      message: REFUSALS.forbidden.title,
      retryAfterSeconds: undefined,
    })
  })

  it('has the sentence of its code when the policy gives none', () => {
    expect(told({ code: 'outside_hours' }).message).toBe(REFUSALS.outside_hours.title)
    expect(told({ code: 'contract_ended' }).message).toBe(REFUSALS.forbidden.title)
    expect(told({ code: 'constructor' }).message).toBe(REFUSALS.forbidden.title)
  })

  it('says how to ask for what a grant would lift, unless the policy has words of its own', () => {
    const access = { requestable: true, models: ['tiny'], roles: ['oncall'], max_duration: '2h' }
    expect(told({ code: 'outside_hours', access }).message).toBe(
      `${REFUSALS.outside_hours.title}. To ask for access: sallyport access request --models tiny --roles oncall --duration 2h --reason …, or POST /-/access/requests {"models":["tiny"],"roles":["oncall"],"duration":"2h","reason":"…"}.`,
    )
    expect(told({ code: 'access_required', message: 'As it is', access }).message).toBe('As it is')
    expect(told({ access: { requestable: false } }).extra).toEqual({ access: { requestable: false } })
  })

  it('keeps an empty message empty', () => {
    expect(told({ message: '' }).message).toBe('')
  })

  it('says how to authenticate when it is 401', () => {
    expect(told({ status: 401 }).headers).toHaveProperty('www-authenticate')
  })
})

describe('what the gateway refuses', () => {
  it('has two voices', () => {
    const refusal = refusalOf(
      new GatewayError('upstream_unavailable', 'http://10.0.0.5:9001: ECONNREFUSED', {
        headers: { 'x-a': '1' },
        retryAfterSeconds: 5,
      }),
    )
    expect(refusal).toEqual({
      told: {
        status: 502,
        code: 'upstream_unavailable',
        message: REFUSALS.upstream_unavailable.title,
        headers: { 'x-a': '1' },
        retryAfterSeconds: 5,
      },
      error: 'http://10.0.0.5:9001: ECONNREFUSED',
    })
  })

  it.each([
    new TypeError('x of undefined at /srv/app.js:5'),
    'a string',
    undefined,
    null,
    { code: 'ECONNRESET' },
  ])('fails closed and tells nothing of a fault: %j', fault => {
    const refusal = refusalOf(fault)
    expect(refusal.told).toMatchObject({
      status: 500,
      code: 'policy_error',
      message: REFUSALS.policy_error.title,
    })
    expect(JSON.stringify(refusal.told)).not.toMatch(/undefined at|app\.js|ECONNRESET|string/)
    expect(refusal.error).toBeDefined()
  })
})
