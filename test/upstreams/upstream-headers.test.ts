import { describe, expect, it } from 'vitest'
import type { TargetConfig } from '../../src/contract/config/pools.ts'
import { CREDENTIAL_HEADERS, HOP_BY_HOP_HEADERS } from '../../src/contract/request.ts'
import {
  answerHeaders as answerHeadersOf,
  type UpstreamTrace,
  upstreamHeaders,
} from '../../src/upstreams/upstream-headers.ts'
import { first, onePool, targetConfig } from '../support/pool.ts'

interface Sending {
  readonly headers?: Readonly<Record<string, string>>
  readonly rewrite?: { set?: Record<string, string>; remove?: string[] }
  readonly forwardHeaders?: string[]
  readonly target?: Partial<TargetConfig>
  readonly bodyLength?: number
  readonly trace?: UpstreamTrace
}

function sent({
  headers = {},
  rewrite,
  forwardHeaders = [],
  target = {},
  bodyLength,
  trace,
}: Sending): Record<string, string> {
  const { pool } = onePool([targetConfig('http://llm.internal:9001', target)], { forwardHeaders })
  const facts = { headers: new Map(Object.entries(headers)), requestId: 'r1', bodyLength, rewrite, trace }
  return upstreamHeaders(facts, pool, first(pool))
}
const OURS = { 'x-request-id': 'r1', host: 'llm.internal:9001' }

describe('what goes upstream', () => {
  it('is an allow-list, our request id, and the name of the target', () => {
    expect(
      sent({
        headers: {
          host: 'gateway.example',
          accept: '*/*',
          'accept-encoding': 'gzip',
          'content-type': 'application/json',
          'content-length': '999',
          'user-agent': 'curl',
          traceparent: '00-1-2-01',
          tracestate: 'a=b',
          'openai-beta': 'x',
          'x-request-id': 'theirs',
          'x-forwarded-for': '10.0.0.1',
          'x-custom': '1',
        },
        bodyLength: 12,
        trace: { parent: '00-1-3-01', state: undefined },
      }),
    ).toEqual({
      ...OURS,
      accept: '*/*',
      'content-type': 'application/json',
      'user-agent': 'curl',
      traceparent: '00-1-3-01',
      'openai-beta': 'x',
      'content-length': '12',
    })
  })

  it('is what the pool forwards besides', () => {
    expect(sent({ headers: { 'x-trace': '1' }, forwardHeaders: ['X-Trace'] })).toEqual({
      ...OURS,
      'x-trace': '1',
    })
  })

  /** A caller must not act upstream as the gateway, nor the server learn who called with what. */
  it.each([...CREDENTIAL_HEADERS])('is never the %s of a caller, whoever wants to forward it', name => {
    expect(sent({ headers: { [name]: 'secret' }, forwardHeaders: [name] })).toEqual(OURS)
    expect(sent({ rewrite: { set: { [name]: 'secret' } } })).toEqual(OURS)
    expect(sent({ rewrite: { set: { [name.toUpperCase()]: 'secret' } } })).toEqual(OURS)
  })

  /** `Expect: 100-continue` makes hooks of a proxy come too late; what belongs to one connection must not pass to the next. */
  it.each([...HOP_BY_HOP_HEADERS, 'expect', 'host', 'content-length'])(
    'is never the %s of a caller or of the policy',
    name => {
      expect(sent({ headers: { [name]: 'x' }, forwardHeaders: [name] })).toEqual(OURS)
      expect(sent({ rewrite: { set: { [name]: 'x' } } })).toEqual(OURS)
    },
  )

  it('is nothing that Connection names', () => {
    const headers = {
      connection: 'close, X-Trace ,User-Agent',
      'x-trace': '1',
      'user-agent': 'curl',
      accept: '*/*',
    }
    expect(sent({ headers, forwardHeaders: ['x-trace'] })).toEqual({ ...OURS, accept: '*/*' })
  })

  it('is what the policy sets and not what it removes, whatever the case', () => {
    expect(
      sent({
        headers: { 'user-agent': 'curl', accept: '*/*' },
        rewrite: { set: { 'X-Team': 'search', accept: 'text/plain' }, remove: ['User-Agent'] },
      }),
    ).toEqual({ ...OURS, 'x-team': 'search', accept: 'text/plain' })
  })

  it('is set after it was removed', () => {
    expect(
      sent({ headers: { accept: 'a' }, rewrite: { remove: ['accept'], set: { accept: 'b' } } }).accept,
    ).toBe('b')
  })

  it("is the target's own credential, over whatever anybody else says", () => {
    const target = { apiKey: 'own', headers: { 'X-Team': 'fixed' } }
    expect(
      sent({
        headers: { authorization: 'Bearer caller' },
        rewrite: { set: { 'x-team': 'policy' }, remove: ['authorization'] },
        target,
      }),
    ).toEqual({
      ...OURS,
      authorization: 'Bearer own',
      'x-team': 'fixed',
    })
  })

  it('says how long a body is when there is one, also an empty one', () => {
    expect(sent({ bodyLength: 0 })['content-length']).toBe('0')
    expect(sent({})).not.toHaveProperty('content-length')
  })

  it('is not misled by names that every object has', () => {
    expect(sent({ headers: { constructor: '1', __proto__x: '2' } })).toEqual(OURS)
    expect(sent({ rewrite: { set: JSON.parse('{"__proto__": "x"}') } }).host).toBe(OURS.host)
  })
})

describe('what comes back', () => {
  const SERVER = new URL('http://10.0.0.7:9001/base/')
  const answerHeaders = (raw: readonly string[]): string[] => answerHeadersOf(raw, SERVER)

  it.each([
    ['http://10.0.0.7:9001/base/v1/models?a=b', '/v1/models?a=b'],
    ['http://10.0.0.7:9001/elsewhere', '/elsewhere'],
    ['https://cdn.example/file', 'https://cdn.example/file'],
    ['/v1/models', '/v1/models'],
  ])('says %s as it is from here: %s', (location, here) => {
    expect(answerHeaders(['Location', location])).toEqual(['location', here])
  })

  it('keeps each line for itself, with its value as it came', () => {
    const raw = ['Content-Type', 'Text/Plain', 'X-Model', 'a', 'x-model', 'b', 'Content-Length', '5']
    expect(answerHeaders(raw)).toEqual([
      'content-type',
      'Text/Plain',
      'x-model',
      'a',
      'x-model',
      'b',
      'content-length',
      '5',
    ])
  })

  it.each([
    'Server',
    'X-Powered-By',
    'Via',
    'Set-Cookie',
    'Date',
    'X-Request-Id',
    'X-Decision-Id',
    'Transfer-Encoding',
    'Connection',
    'Keep-Alive',
    'Upgrade',
    'RateLimit',
    'RateLimit-Policy',
    'x-ratelimit-remaining-requests',
  ])('hides %s', name => {
    expect(answerHeaders([name, 'x', 'Content-Type', 'text/plain'])).toEqual(['content-type', 'text/plain'])
  })

  it('hides what any line of Connection names', () => {
    expect(
      answerHeaders(['Connection', 'x-a, X-B', 'X-A', '1', 'x-b', '2', 'Connection', 'close', 'X-C', '3']),
    ).toEqual(['x-c', '3'])
  })
})
