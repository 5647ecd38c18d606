import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { imaginedFacts, intake, normaliseTarget } from '../../src/server/intake.ts'
import { thrownBy } from '../support/thrown.ts'

/** What Node gives for the head of a request, and no more. */
function head(url: string, rawHeaders: readonly string[] = [], method = 'POST'): IncomingMessage {
  return {
    method,
    url,
    rawHeaders,
    socket: { remoteAddress: '::ffff:10.1.2.3' },
  } as unknown as IncomingMessage
}
const read = (url: string, rawHeaders: readonly string[] = [], method?: string) =>
  intake(head(url, rawHeaders, method))

describe('normaliseTarget', () => {
  it.each([
    ['/', '/', []],
    ['/v1/chat/completions', '/v1/chat/completions', ['v1', 'chat', 'completions']],
    ['/v1/models/', '/v1/models/', ['v1', 'models']],
    ['/%76%31/models', '/v1/models', ['v1', 'models']],
    ['/a%7eb%7Ec', '/a~b~c', ['a~b~c']],
    ['/a%c3%bc', '/a%C3%BC', ['aü']],
    ['/a%20b', '/a%20b', ['a b']],
    ['/a%252fb', '/a%252fb', ['a%2fb']],
    ['/v1/models/org%2fmodel', '/v1/models/org%2Fmodel', ['v1', 'models', 'org/model']],
    ['/.well-known/x..y/...', '/.well-known/x..y/...', ['.well-known', 'x..y', '...']],
    ['/models/a:b@c;d=e', '/models/a:b@c;d=e', ['models', 'a:b@c;d=e']],
  ])('writes %s in one form only', (target, path, segments) => {
    expect(normaliseTarget(target)).toEqual({ path, search: '', segments })
  })

  it('leaves the query as it came', () => {
    expect(normaliseTarget('/a?b=%2f%41&c=..//')).toEqual({
      path: '/a',
      search: '?b=%2f%41&c=..//',
      segments: ['a'],
    })
    expect(normaliseTarget('/a?')).toEqual({ path: '/a', search: '?', segments: ['a'] })
  })

  it('gives the same for every way to write it', () => {
    const { path } = normaliseTarget('/v1/chat/completions')
    for (const other of ['/v1/chat/complet%69ons', '/%761/chat/completions', '/v1/%63%68%61%74/completions'])
      expect(normaliseTarget(other).path).toBe(path)
  })

  /**
   * The policy allows `/v1/models` and refuses `/api/delete`; the caller writes a path that the
   * policy reads as the one and the server behind the gateway as the other.
   */
  it.each([
    ['/v1/models/../../api/delete', 'dot segments'],
    ['/v1/./models', 'a dot segment'],
    ['/v1/models/..', 'one at the end'],
    ['/v1/models/..%2fx', 'dots in front of an escaped slash'],
    ['/v1/models/x%2f%2e%2e%2Fy', 'escaped dots between escaped slashes'],
    ['/v1/models/x%2F.', 'a dot behind an escaped slash'],
    ['/v1/models/x%5cy', 'an escaped backslash in the name of a model'],
    ['/v1/chat%2fcompletions', 'an escaped slash where no model is named'],
    ['/%76%31/models/x%2fy', 'an escaped slash behind an escaped prefix'],
    ['/v1/models/.', 'a single one at the end'],
    ['/v1/%2e%2e/api/delete', 'escaped dots'],
    ['/v1/.%2E/api/delete', 'half-escaped dots'],
    ['/v1/models%2f..%2fapi%2fdelete', 'escaped slashes'],
    ['/v1/models%2Fx', 'an escaped slash'],
    ['//api/delete', 'an empty first segment: some take it for a host'],
    ['/v1//models', 'an empty segment'],
    ['/v1\\..\\api\\delete', 'backslashes'],
    ['/v1/..%5capi%5Cdelete', 'escaped backslashes'],
    ['/v1/models%00.json', 'an escaped NUL'],
    ['/v1/models\0', 'a NUL'],
    ['/v1/models%0d%0aX-Admin:%201', 'an escaped line feed'],
    ['/v1/models%7f', 'an escaped DEL'],
    ['/v1/models%1F', 'an escaped control character'],
    ['/v1/..;/api/delete', 'dots that a server finds when it cuts off parameters'],
    ['/v1?x=%ff', 'no UTF-8 in the query'],
    ['/v1?access_token=x', 'a credential in the query'],
    ['/v1?x=slp_0123456789_x', 'a key of ours in the query'],
    ['/v1/%', 'half an escape'],
    ['/v1/%4', 'half an escape'],
    ['/v1/%zz', 'no escape'],
    ['/v1?x=%', 'half an escape in the query'],
    ['/v1/%c0%ae%c0%ae/api', 'dots in UTF-8 that is too long'],
    ['/v1/%ff', 'no UTF-8'],
    ['/v1/%ed%a0%80', 'a surrogate in UTF-8'],
    ['/v1/models#x', 'a fragment'],
    ['/v1/mod els', 'a blank'],
    ['/v1/modèls', 'a letter beyond ASCII'],
    ['/v1/"models"', 'quotes'],
    ['/v1/<models>', 'angle brackets'],
    ['/v1/{models}', 'braces'],
    ['http://other/v1/models', 'another host'],
    ['*', 'no path'],
    ['', 'nothing'],
    ['v1/models', 'no leading slash'],
    ['?x=1', 'a query alone'],
  ])('refuses %j: %s', target => {
    expect(thrownBy(() => normaliseTarget(target))).toMatchObject({ code: 'invalid_request', status: 400 })
  })

  it('answers the same when asked again, and after a thousand others', () => {
    const first = normaliseTarget('/v1/models?a=1')
    for (let number = 0; number < 1100; number++) normaliseTarget(`/v1/models/m${number}`)
    expect(normaliseTarget('/v1/models?a=1')).toEqual(first)
    expect(thrownBy(() => normaliseTarget('/v1/../x')).code).toBe('invalid_request')
    expect(thrownBy(() => normaliseTarget('/v1/../x')).code).toBe('invalid_request')
  })

  it('is its own fixed point: what is sent is read in the same way again', () => {
    for (const target of ['/%76%31/a%c3%bc', '/a%2520b', '/models/a%3ab', '/a%20b/']) {
      const { path } = normaliseTarget(target)
      expect(normaliseTarget(path).path).toBe(path)
    }
  })
})

describe('intake', () => {
  it('lowers the names of headers and joins several lines of one', () => {
    const { headers } = read('/v1/models', ['User-Agent', 'curl', 'X-Tag', 'a', 'x-tag', 'b'])
    expect([...headers]).toEqual([
      ['user-agent', 'curl'],
      ['x-tag', 'a, b'],
    ])
  })

  it.each([
    'Authorization',
    'X-Api-Key',
    'api-key',
    'Content-Type',
    'Content-Length',
    'Host',
    'Transfer-Encoding',
  ])('refuses two lines of %s: two readers would pick two values', name => {
    expect(thrownBy(() => read('/v1/models', [name, 'a', name.toLowerCase(), 'a'])).code).toBe(
      'invalid_request',
    )
  })

  it.each(['CONNECT', 'TRACE'])('refuses %s', method => {
    expect(thrownBy(() => read('/v1/models', [], method)).code).toBe('invalid_request')
  })

  it('leaves every other method to the policy', () => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])
      expect(read('/x', [], method).method).toBe(method)
  })

  it('refuses upgrades', () => {
    expect(thrownBy(() => read('/v1/models', ['Connection', 'upgrade', 'Upgrade', 'websocket'])).code).toBe(
      'invalid_request',
    )
  })

  it.each(['gzip', 'br', 'GZIP', 'gzip, identity', 'x-unknown'])(
    'refuses a body in %s: the policy could not read it, the server could',
    encoding => {
      expect(thrownBy(() => read('/v1/models', ['Content-Encoding', encoding])).code).toBe('invalid_request')
    },
  )

  it('takes a body that says it is not compressed', () => {
    expect(read('/v1/models', ['Content-Encoding', 'Identity']).path).toBe('/v1/models')
  })

  it('writes addresses in one form', () => {
    expect(read('/x').clientIp).toBe('10.1.2.3')
  })

  it.each([
    ['/v1/chat/completions', 'chat'],
    ['/api/chat', 'chat'],
    ['/v1/completions', 'completion'],
    ['/api/generate', 'completion'],
    ['/completion', 'completion'],
    ['/infill', 'completion'],
    ['/v1/embeddings', 'embedding'],
    ['/api/embed', 'embedding'],
    ['/v1/models', 'models'],
    ['/v1/models/tiny', 'models'],
    ['/api/tags', 'models'],
    ['/api/delete', 'other'],
    ['/v1/chat', 'other'],
    ['/V1/chat/completions', 'other'],
    ['/constructor', 'other'],
  ])('knows what %s is: %s', (path, operation) => {
    expect(read(path).operation).toBe(operation)
  })

  it('knows an operation behind escapes and in front of a query', () => {
    expect(read('/v1/ch%61t/completions?api-version=1').operation).toBe('chat')
  })

  it('takes 100-continue and refuses every other expectation', () => {
    expect(read('/v1/models', ['Expect', '100-Continue']).path).toBe('/v1/models')
    expect(thrownBy(() => read('/v1/models', ['Expect', 'a miracle'])).code).toBe('invalid_request')
  })
})

describe('an imagined request', () => {
  const asking = read('/-/authorize', ['Authorization', 'Bearer x', 'X-Team', 'a'])
  const imagine = (target: string, headers: Record<string, string> = {}) =>
    imaginedFacts(asking, { method: 'GET', target, headers })

  it('is read as a real one would be, from where its asker is', () => {
    expect(imagine('/v1/ch%61t/completions?a=1', { 'X-Tag': 'b' })).toEqual({
      ...asking,
      method: 'GET',
      path: '/v1/chat/completions',
      search: '?a=1',
      segments: ['v1', 'chat', 'completions'],
      operation: 'chat',
      headers: new Map([['x-tag', 'b']]),
    })
  })

  it('is refused where a real one would be', () => {
    expect(thrownBy(() => imagine('/v1/../x')).code).toBe('invalid_request')
    expect(thrownBy(() => imagine('/v1/models', { host: 'a', Host: 'b' })).code).toBe('invalid_request')
  })
})
