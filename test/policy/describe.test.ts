import { describe as about, expect, it } from 'vitest'
import { inputSchema, type Principal } from '../../src/contract/input.schema.ts'
import { CREDENTIAL_HEADERS, type RequestFacts } from '../../src/contract/request.ts'
import { compileSchema } from '../../src/contract/schema.ts'
import { lookAt } from '../../src/policy/activate/edition.ts'
import { atInstant, type DescribeFacts, describe, withGrants } from '../../src/policy/describe.ts'
import { READS_ANYTHING, readsFrom } from '../../src/policy/reads.ts'
import { parseBody } from '../../src/server/strict-json.ts'
import { temporaryFolder } from '../support/folder.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')
const CHAT = '/v1/chat/completions'
const REQUEST: RequestFacts = {
  method: 'POST',
  path: '/v1/chat/completions',
  search: '?k=v&k=w&l',
  segments: ['v1', 'chat', 'completions'],
  operation: 'chat',
  headers: new Map([['user-agent', 'curl "8"']]),
  clientIp: '203.0.113.7',
  tls: false,
}
const PRINCIPAL: Principal = {
  id: 'ci-bot',
  kind: 'service',
  roles: ['developer'],
  team: null,
  authenticated: true,
  method: 'api_key',
  key_id: 'k_1',
  claims: {},
  expires_at: null,
}

function described(body?: string, members: Partial<DescribeFacts> = {}, request: Partial<RequestFacts> = {}) {
  return describe({
    id: '01JD',
    request: { ...REQUEST, ...request },
    body: body === undefined ? undefined : parseBody(Buffer.from(body)),
    principal: PRINCIPAL,
    pools: { chat: { models: ['tiny'], healthy: 2, targets: 2, in_flight: 3, queued: 0 } },
    revision: 'r1',
    policyAgeSeconds: 340,
    now: NOON,
    ...members,
  })
}
const requestOf = (body?: string, request: Partial<RequestFacts> = {}) =>
  JSON.parse(described(body, {}, request).input).request

about('the input', () => {
  it('is exactly this text', () => {
    expect(described('{"model": "tiny", "stream": true,"max_tokens":64,"messages":[]}').input).toBe(
      '{"request":{"id":"01JD","method":"POST","path":"/v1/chat/completions","segments":["v1","chat","completions"],"query":{"k":["v","w"],"l":[""]},"headers":{"user-agent":"curl \\"8\\""},"client_ip":"203.0.113.7","tls":false,"operation":"chat","model":"tiny","stream":true,"body":{"model": "tiny", "stream": true,"max_tokens":64,"messages":[]},"body_bytes":63,"estimated_input_tokens":16,"max_output_tokens":64},"principal":{"id":"ci-bot","kind":"service","roles":["developer"],"team":null,"authenticated":true,"method":"api_key","key_id":"k_1","claims":{},"expires_at":null},"grants":[],"pools":{"chat":{"models":["tiny"],"healthy":2,"targets":2,"in_flight":3,"queued":0}},"policy":{"revision":"r1","age_seconds":340},"time":{"now_ns":1767268800000000000}}',
    )
  })

  it.each([
    ['a body', '{"model":"tiny","messages":[{"role":"user","content":"hi"}]}'],
    ['a list for a body', '[1]'],
    ['no body', undefined],
  ])('fits the published schema with %s', (_what, body) => {
    const validate = compileSchema(inputSchema)
    const { input, withoutContent } = described(body)
    expect(validate(JSON.parse(input))).toEqual([])
    expect(validate(JSON.parse(withoutContent))).toEqual([])
  })

  it('never has a credential', () => {
    const headers = new Map([...CREDENTIAL_HEADERS].map(name => [name, `secret-${name}`]))
    headers.set('x-team', 'search')
    const { input, withoutContent } = described('{}', {}, { headers })
    expect(JSON.parse(input).request.headers).toEqual({ 'x-team': 'search' })
    expect(`${input}${withoutContent}`).not.toContain('secret-')
  })

  it('has the body with the digits and in the order in which it came', () => {
    const body = '{"z":12345678901234567890.10,"a":1e300,"b":1.0,"s":"\\u00fc","e":"\\ud83d\\ude00"}'
    expect(described(body).input).toContain(`"body":${body},"body_bytes"`)
  })

  it('has U+FFFD where a surrogate stands alone, in names and values at any depth', () => {
    const { input, withoutContent } = described(
      '{"\\ud800":"\\udc00 \\ud83d\\ude00","a":[{"b":"x\\uD83Dy"}],"model":"m\\ud800"}',
    )
    expect(JSON.parse(input).request.body).toEqual({
      '\ufffd': '\ufffd 😀',
      a: [{ b: 'x\ufffdy' }],
      model: 'm\ufffd',
    })
    expect(JSON.parse(input).request.model).toBe('m\ufffd')
    for (const text of [input, withoutContent]) expect(JSON.stringify(JSON.parse(text))).not.toContain('\\ud')
  })

  it('has U+FFFD where a surrogate stands alone in what the operator wrote', () => {
    const { input } = described('{}', {
      principal: { ...PRINCIPAL, roles: ['\ud800'] },
      pools: { chat: { models: ['m\udc00'], healthy: 1, targets: 1, in_flight: 0, queued: 0 } },
    })
    expect(JSON.parse(input)).toMatchObject({
      principal: { roles: ['\ufffd'] },
      pools: { chat: { models: ['m\ufffd'] } },
    })
    expect(input).not.toMatch(/\\ud/i)
  })

  it('has names that every object has as what they are', () => {
    const { input, withoutContent } = described(
      '{"__proto__":{"admin":true},"constructor":1}',
      {},
      { search: '?__proto__=1&constructor=2' },
    )
    expect(input).toContain('"body":{"__proto__":{"admin":true},"constructor":1}')
    expect(input).toContain('"query":{"__proto__":["1"],"constructor":["2"]}')
    expect(withoutContent).toContain('"body":{"constructor":1}')
  })

  it.each([
    ['', {}],
    ['?', {}],
    ['?a', { a: [''] }],
    ['?a=1&b=2&a=3', { a: ['1', '3'], b: ['2'] }],
    ['?a%20b=%C3%BC+x', { 'a b': ['ü x'] }],
    ['?a=%ff', { a: ['\ufffd'] }],
  ])('has the query %j as %j', (search, query) => {
    expect(requestOf('{}', { search }).query).toEqual(query)
  })
})

about('what is told of a body', () => {
  it.each([
    [undefined, null],
    ['{}', null],
    ['{"model":"tiny"}', 'tiny'],
    ['{"model":5}', null],
    ['{"model":["tiny"]}', null],
    ['[{"model":"tiny"}]', null],
  ])('the model of %s: %s', (body, model) => {
    expect(requestOf(body).model).toBe(model)
    expect(described(body).model).toBe(model)
  })

  it.each([
    ['{"stream":true}', CHAT, true],
    ['{"stream":false}', CHAT, false],
    ['{}', CHAT, false],
    ['{"stream":"true"}', CHAT, false],
    ['{}', '/api/chat', true],
    ['{}', '/api/generate', true],
    ['{"stream":false}', '/api/chat', false],
    ['{}', '/api/embed', false],
  ])('whether %s to %s is to be streamed: %s', (body, path, stream) => {
    expect(requestOf(body, { path }).stream).toBe(stream)
  })

  it.each([
    ['{}', null],
    ['{"max_tokens":64}', 64],
    ['{"max_completion_tokens":64}', 64],
    ['{"max_output_tokens":64}', 64],
    ['{"n_predict":64}', 64],
    ['{"options":{"num_predict":64}}', 64],
    ['{"max_tokens":0}', 0],
    ['{"max_tokens":null,"max_completion_tokens":7}', 7],
  ])('the ceiling in %s: %s', (body, ceiling) => {
    expect(requestOf(body).max_output_tokens).toBe(ceiling)
  })

  /** A caller names two ceilings: the policy reads the low one and lets it pass, the server reads the other. */
  it.each([
    ['{"max_completion_tokens":1,"max_tokens":100000}', 100_000],
    ['{"max_tokens":1,"max_completion_tokens":100000}', 100_000],
    ['{"max_tokens":1,"max_output_tokens":100000}', 100_000],
    ['{"max_tokens":1,"options":{"num_predict":100000}}', 100_000],
    ['{"max_tokens":1,"n_predict":-1}', null],
    ['{"max_tokens":1,"options":{"num_predict":-2}}', null],
    ['{"max_tokens":1,"n_predict":"all"}', null],
    ['{"max_tokens":1e300}', null],
    ['{"max_tokens":1.5}', null],
  ])('is never a lower ceiling than a server may read in %s', (body, ceiling) => {
    expect(requestOf(body).max_output_tokens).toBe(ceiling)
  })

  it('its size, and a guess at its tokens, in bytes and not in characters', () => {
    expect(requestOf('{"a":"ü☃"}')).toMatchObject({ body_bytes: 13, estimated_input_tokens: 4 })
    expect(requestOf()).toMatchObject({ body: null, body_bytes: 0, estimated_input_tokens: 0 })
  })
})

about('the same without content', () => {
  it('keeps the model and what is no text, and names what it leaves out', () => {
    const { withoutContent, erased } = described(
      '{"model":"tiny","stream":true,"max_tokens":64,"stop":null,"user":"ana","messages":[{"content":"secret"}],"a/b~c":"secret","tools":{}}',
    )
    expect(JSON.parse(withoutContent).request.body).toEqual({
      model: 'tiny',
      stream: true,
      max_tokens: 64,
      stop: null,
    })
    expect(erased).toEqual([
      '/input/request/body/user',
      '/input/request/body/messages',
      '/input/request/body/a~1b~0c',
      '/input/request/body/tools',
    ])
    expect(withoutContent).not.toContain('secret')
  })

  it('is the input but for that', () => {
    const { input, withoutContent, erased } = described(
      '{"model":"tiny","seed":12345678901234567890,"e":1e300}',
    )
    expect(erased).toEqual([])
    expect(withoutContent).toBe(input)
  })

  it.each(['["secret"]', '"secret"', '5', 'null'])('leaves a body out whole that is no object: %s', body => {
    const { withoutContent, erased } = described(body)
    expect(JSON.parse(withoutContent).request.body).toBeNull()
    expect(erased).toEqual(['/input/request/body'])
  })

  it('leaves a model out that is no text', () => {
    expect(described('{"model":{"x":"secret"}}').erased).toEqual(['/input/request/body/model'])
  })

  it('says nothing of a body that is not there', () => {
    expect(described().erased).toEqual([])
  })
})

about('atInstant', () => {
  it('is the same at another moment, whatever the body imitates', () => {
    const { input } = described('{"messages":"\\"time\\":{\\"now_ns\\":1}","time":{"now_ns":1}}')
    const later = atInstant(input, NOON + 1)
    expect(later).toBe(input.replace('1767268800000000000}}', '1767268800001000000}}'))
    expect(JSON.parse(later).request.body.time.now_ns).toBe(1)
  })
})

about('what a policy cannot look at', () => {
  const BODY = '{"model":"tiny","messages":[{"role":"user","content":"hi"}],"tools":[1],"a/b~c":1e2, "":7}'
  const HEADERS = { headers: new Map(Object.entries({ 'x-team': 'search', 'user-agent': 'curl' })) }
  const asked = (touched: string[], whole: string[] = []) =>
    JSON.parse(described(BODY, { reads: readsFrom({ touched, whole }) }, HEADERS).input).request

  it('is not given to it', () => {
    expect(asked(['/request', '/request/model'])).toEqual({ model: 'tiny' })
    expect(asked(['/request/body', '/request/body/tools', '/request/headers/x-team'])).toEqual({
      headers: { 'x-team': 'search' },
      body: { tools: [1] },
    })
    expect(asked(['/pools'])).toEqual({})
    expect(asked([], ['/request/body/a~1b~0c', '/request/body/messages/0']).body).toEqual({
      'a/b~c': 100,
      messages: [{ role: 'user', content: 'hi' }],
    })
  })

  it('is neither the pools nor the revision, where they are not looked at', () => {
    const about = (touched: string[], whole: string[] = []) =>
      JSON.parse(described(BODY, { reads: readsFrom({ touched, whole }) }, HEADERS).input)
    expect(about(['/request'])).toMatchObject({ pools: {}, policy: {}, principal: { id: 'ci-bot' } })
    expect(about(['/pools/chat/healthy'])).toMatchObject({ pools: { chat: { healthy: 2 } }, policy: {} })
    expect(about([], ['/policy'])).toMatchObject({ pools: {}, policy: { revision: 'r1' } })
  })

  it('is not the time, now or later, where it is not looked at', () => {
    const at = (now: number, touched: string[]) => {
      const { input } = described(BODY, { reads: readsFrom({ touched, whole: [] }) }, HEADERS)
      return atInstant(input, now)
    }
    expect(JSON.parse(at(NOON + 1, ['/request'])).time).toEqual({})
    expect(at(NOON + 1, ['/request'])).toBe(at(NOON + 2, ['/request']))
    expect(at(NOON + 1, ['/time/now_ns'])).toContain('"time":{"now_ns":1767268800001000000}}')
  })

  it.each([[['/request/body', '/request/headers']], [['/request']], [['']]])(
    'is all given where %j is looked at with everything below',
    whole => {
      const request = asked([], whole)
      expect(request.headers).toEqual({ 'x-team': 'search', 'user-agent': 'curl' })
      expect(Object.keys(request.body)).toEqual(['model', 'messages', 'tools', 'a/b~c', ''])
    },
  )

  it('is in the record all the same', () => {
    const facts = described(BODY, { reads: readsFrom({ touched: [], whole: [] }) }, HEADERS)
    expect(facts.whole()).toBe(described(BODY, {}, HEADERS).input)
    expect(facts.withoutContent).toBe(described(BODY, {}, HEADERS).withoutContent)
  })

  it('of a body that is no object is nothing, or all', () => {
    const array = (whole: string[]) =>
      JSON.parse(described('[1,2]', { reads: readsFrom({ touched: [], whole }) }).input).request.body
    expect(array([])).toBeUndefined()
    expect(array(['/request/body/0'])).toEqual([1, 2])
  })
})

about('a decision', () => {
  const RULES = [
    'input.request.body.messages[_].content == "hi"',
    'count(input.request.headers) == 2',
    'some k; input.request.body[k] == "tiny"',
    'object.get(input, ["request", "headers", "x-team"], "") == "search"',
    'walk(input.request.body, [["tools", 0], 1])',
    'json.marshal(input.request) != ""; contains(json.marshal(input.request), "curl")',
    'r := input.request; r.body.stream == true',
    'input.request.body == {"model": "tiny", "messages": []}',
    'not input.request.body.tools',
    'not input.request.headers["x-team"]',
    'every v in input.request.headers { v != "search" }',
    'f(input)\n\nf(x) if x.request.body.model == x.request.model',
    'input.request.body[input.request.model]',
    'is_null(input.request.body)',
    'is_object(input.request.body)',
    'input.request.body["a/b~c"] == 100',
    'input.request.body["\\ufffd"] == 1',
    'input.request.body.tools; count(input.request) == 15',
    'input.request.body.tools; input.request.segments[1] == "chat"; input.request.method == "POST"',
    'input.request.body.tools; input.request.query.k == ["v", "w"]; not input.request.tls',
    'input.request.body.tools; some p in input.pools; p.healthy == 2; startswith(input.policy.revision, "r")',
    'not input.request.body.tools; count(input) == 6; input.request.max_output_tokens == null',
    'input.request.estimated_input_tokens > 5; input.request.id == "01JD"',
  ]
  const BODIES = [
    '{"model":"tiny","messages":[]}',
    '{"model":"tiny","messages":[{"content":"hi"}],"stream":true,"a/b~c":100}',
    '{"model":"tiny","tools":[1],"tiny":1}',
    '{"\\ud800":1}',
    '{}',
    '[]',
    'null',
    undefined,
  ]
  const HEADERS = [{}, { 'x-team': 'search', 'user-agent': 'curl' }, { 'x-team': 'other' }]

  it.each(RULES)('is the same as on the whole input: %s', async rule => {
    const sources = {
      'g.rego': `package gateway\n\ndefault decision := {"allow": false}\n\ndecision := {"allow": true} if { ${rule.replace(/\n\n/, ' }\n\n')}${rule.includes('\n\n') ? '' : ' }'}\n`,
    }
    const edition = lookAt({
      path: temporaryFolder(sources),
      shown: 'policies',
      entrypoint: 'gateway/decision',
      builtinErrors: 'refuse',
      maxMemoryBytes: 64 * 1024 * 1024,
      ownTests: undefined,
      maxEvaluationMs: 1000,
      models: () => ['tiny'],
      pools: () => ({}),
    })
    const revision = await edition.build(async (_name, work) => work())
    expect(revision.reads).not.toBe(READS_ANYTHING)
    const seen = new Set<boolean>()
    for (const body of BODIES)
      for (const headers of HEADERS) {
        const facts = described(
          body,
          { reads: revision.reads },
          { headers: new Map(Object.entries(headers)) },
        )
        const [some, all] = [facts.input, facts.whole()].map(
          input => revision.decide(input, { nowNs: 0n, seed: 's' }).decision.allow,
        )
        expect(some, `${body} ${JSON.stringify(headers)}`).toBe(all)
        seen.add(all as boolean)
      }
    expect([...seen].sort()).toEqual([false, true])
    revision.close()
  })
})

about('the same input under other grants', () => {
  const grant = (id: string, reason = '') => ({ id, models: ['tiny'], roles: [], reason })
  const grantsIn = (input: string) => JSON.parse(input).grants

  it('differs in nothing else, wherever the word stands', () => {
    const principal = {
      ...PRINCIPAL,
      id: '","grants":[',
      claims: { x: 1, grants: ['],"pools":{'], pools: { a: 1, pools: {} } },
    }
    const pools = { grants: { models: [',"grants":['], healthy: 1, targets: 1, in_flight: 0, queued: 0 } }
    const body = '{"model":"tiny","grants":[1],"pools":{"a":2}}'
    const given = (grants: object[]) => described(body, { principal, pools, grants }).input
    const held = [grant('g_1', '],"pools":{'), grant('g_2')]
    for (const before of [[], held]) {
      for (const after of [[], [grant('g_3')], held])
        expect(withGrants(given(before), after)).toBe(given(after))
    }
    expect(grantsIn(withGrants(given([]), held))).toEqual(held)
  })
})
