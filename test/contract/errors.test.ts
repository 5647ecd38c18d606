import { describe, expect, it } from 'vitest'
import { errorBody, errorType, GatewayError, REFUSALS, type RefusalCode } from '../../src/contract/errors.ts'

/** Contract §5, word for word. */
const PROMISED: Readonly<Record<string, number>> = {
  unauthenticated: 401,
  forbidden: 403,
  outside_hours: 403,
  access_required: 403,
  model_not_found: 404,
  payload_too_large: 413,
  invalid_request: 400,
  rate_limited: 429,
  quota_exceeded: 429,
  overloaded: 503,
  upstream_unavailable: 502,
  upstream_timeout: 504,
  policy_error: 500,
  audit_unavailable: 503,
}

describe('the table of refusals', () => {
  it.each(Object.entries(PROMISED))('answers %s with %d, as the contract says', (code, status) => {
    expect(REFUSALS[code as RefusalCode].status).toBe(status)
  })
})

describe('GatewayError', () => {
  it('has the status and the title of its code', () => {
    const error = new GatewayError('rate_limited', 'for the operator')
    expect(error).toMatchObject({
      code: 'rate_limited',
      status: 429,
      title: REFUSALS.rate_limited.title,
      headers: {},
    })
    expect(error.retryAfterSeconds).toBeUndefined()
  })

  it('can be told another status and title', () => {
    expect(new GatewayError('policy_error', 'm', { status: 503, title: 'Not yet' })).toMatchObject({
      status: 503,
      title: 'Not yet',
    })
  })

  it('keeps what lay behind it', () => {
    const cause = new Error('disk')
    expect(new GatewayError('audit_unavailable', 'm', { cause }).cause).toBe(cause)
  })
})

describe('errorType', () => {
  it.each([
    ['quota_exceeded', 429, 'insufficient_quota'],
    ['contract_ended', 403, 'permission_error'],
    ['slow_down', 429, 'rate_limit_error'],
    ['who_are_you', 401, 'authentication_error'],
    ['teapot', 418, 'invalid_request_error'],
    ['closed', 503, 'server_error'],
  ])('is, for %s with %d, %s', (code, status, type) => {
    expect(errorType(code, status)).toBe(type)
  })

  it('does not find a code of a policy among the members that every object has', () => {
    expect(errorType('constructor', 403)).toBe('permission_error')
  })
})

describe('errorBody', () => {
  it('is in the form that the OpenAI SDKs raise their own errors from', () => {
    expect(JSON.parse(errorBody('outside_hours', 403, 'Closed "now"'))).toEqual({
      error: { message: 'Closed "now"', type: 'permission_error', code: 'outside_hours', param: null },
    })
  })

  it('carries further members', () => {
    expect(
      JSON.parse(errorBody('forbidden', 403, 'm', { access: { requestable: true } })).error.access,
    ).toEqual({ requestable: true })
  })
})
