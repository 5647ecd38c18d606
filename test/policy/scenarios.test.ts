import { beforeAll, describe, expect, it } from 'vitest'
import type { Bundle } from '../../src/policy/bundles/bundle.ts'
import { openWorkshop } from '../../src/policy/compile/compile.ts'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { differences } from '../../src/policy/scenarios/differences.ts'
import { questionsIn } from '../../src/policy/scenarios/questions.ts'
import { readScenarios } from '../../src/policy/scenarios/read.ts'
import { runScenarios, type ScenarioRun } from '../../src/policy/scenarios/run.ts'
import { readImagined } from '../../src/server/imagine.ts'
import { snapshotOf } from '../support/snapshot.ts'

/** Says back what it was asked, so that a scenario can expect the input itself. */
const ECHO = `package gateway

default decision := {"allow": false, "rule": "default"}

decision := {
	"allow": true,
	"rule": input.principal.id,
	"reasons": [json.marshal(input)],
	"audit": {"labels": {"now": format_int(time.now_ns(), 10), "data": json.marshal(data.table)}},
} if {
	input.request.path != "/undefined"
	input.request.path != "/default"
}

decision := {"allow": true, "limts": []} if input.request.path == "/undefined"
`
const DATA = '{"table": {"list": [1, 2], "inner": {"kept": true, "n": 1}}}'

let bundle: Bundle
beforeAll(async () => {
  const snapshot = snapshotOf({ 'gateway.rego': ECHO, 'data.json': DATA })
  const workshop = await openWorkshop(snapshot, requireOpa(), 'p')
  bundle = (await workshop.build('gateway/decision')).bundle as Bundle
  workshop.close()
})

const POOLS = { chat: { models: ['tiny'], healthy: 0, targets: 2, in_flight: 7, queued: 3 } }

function run(text: string): ScenarioRun {
  return runScenarios(
    [{ shown: 'p/x.scenario.yaml', text }],
    {
      bundle,
      revision: 'r1',
      entrypoint: 'gateway/decision',
      builtinErrors: 'refuse',
      maxMemoryBytes: 1 << 24,
    },
    { pools: () => POOLS, readRequest: readImagined },
  )
}
const questions = (text: string) => {
  const [file] = readScenarios([{ shown: 'x.scenario.yaml', text }]).scenarios
  if (!file) throw new Error('not read')
  return questionsIn(file)
}

/** The input and the decision of a case, whatever it expects. */
function asked(members: string, top = '') {
  const { results, findings } = run(`${top}
cases:
  - name: it
    expect: { rule: nobody }
${members.replace(/^/gm, '    ')}`)
  expect(findings).toEqual([])
  const decision = JSON.parse(/the decision: (.*)$/m.exec(results[0]?.message ?? '')?.[1] ?? 'null')
  return { decision, input: JSON.parse(decision.reasons[0]) }
}

describe('what the policy is asked', () => {
  it('is what the gateway would ask of a chat, where only a model is given', () => {
    const { input } = asked('principal: { id: ana }\nrequest: { model: tiny }')
    expect(input).toMatchObject({
      request: {
        method: 'POST',
        path: '/v1/chat/completions',
        segments: ['v1', 'chat', 'completions'],
        operation: 'chat',
        model: 'tiny',
        body: { model: 'tiny', messages: [] },
        tls: false,
        client_ip: '127.0.0.1',
        headers: { 'content-type': 'application/json' },
      },
      principal: {
        id: 'ana',
        kind: 'user',
        roles: [],
        team: null,
        authenticated: true,
        method: 'api_key',
        claims: {},
        expires_at: null,
      },
      grants: [],
      policy: { revision: 'r1', age_seconds: 0 },
    })
    expect(input.request.body_bytes).toBe(JSON.stringify(input.request.body).length)
  })

  it('has the pools of the gateway, at rest', () => {
    const { input } = asked('principal: { id: ana }\nrequest: { model: tiny }')
    expect(input.pools).toEqual({
      chat: { models: ['tiny'], healthy: 2, targets: 2, in_flight: 0, queued: 0 },
    })
  })

  it('is normalised as the gateway does, and without credentials', () => {
    const { input } = asked(`principal: { id: ana }
request:
  method: GET
  path: /v1/models?limit=5&limit=6
  headers: { X-Team: search, Authorization: Bearer secret }`)
    expect(input.request).toMatchObject({
      method: 'GET',
      path: '/v1/models',
      query: { limit: ['5', '6'] },
      operation: 'models',
      model: null,
      body: null,
      body_bytes: 0,
    })
    expect(input.request.headers['x-team']).toBe('search')
    expect(JSON.stringify(input)).not.toContain('secret')
  })

  it('knows an anonymous caller by its kind', () => {
    const { input } = asked(
      'principal: { id: guest, kind: anonymous, roles: [guest] }\nrequest: { model: tiny }',
    )
    expect(input.principal).toMatchObject({ authenticated: false, method: 'anonymous', key_id: null })
  })

  it('shows the grants that are in force at that instant, and no others', () => {
    const { input } = asked(`at: "2026-03-02T12:00:00+01:00"
principal: { id: ana }
request: { model: tiny }
grants:
  - { id: g_1, models: [large], expires_at: "2026-03-02T11:00:01Z" }
  - { id: g_2, expires_at: "2026-03-02T11:00:00Z" }
  - { roles: [admin] }`)
    expect(input.grants).toEqual([
      {
        id: 'g_1',
        models: ['large'],
        roles: [],
        expires_at: '2026-03-02T11:00:01Z',
        approved_by: null,
        reason: '',
      },
      expect.objectContaining({ id: 'g_3', roles: ['admin'] }),
    ])
  })

  it.each([
    ['just before the clocks go forward', '2026-03-29T01:59:59+01:00', '1774745999000000000'],
    ['a second later, an hour ahead', '2026-03-29T03:00:00+02:00', '1774746000000000000'],
    ['the first of two 02:30 in autumn', '2026-10-25T02:30:00+02:00', '1792888200000000000'],
    ['the second of them', '2026-10-25T02:30:00+01:00', '1792891800000000000'],
  ])('is asked at the instant that is given, offset and all: %s', (_what, at, ns) => {
    const { decision } = asked(`at: ${at}\nprincipal: { id: ana }\nrequest: { model: tiny }`)
    expect(decision.audit.labels.now).toBe(ns)
  })

  it('is asked at the same instant always, where none is given', () => {
    const { decision } = asked('principal: { id: ana }\nrequest: { model: tiny }')
    expect(decision.audit.labels.now).toBe('1767268800000000000')
  })

  it('is decided on the data of the policy, with that of the file and then of the case over it', () => {
    const { decision } = asked(
      'principal: { id: ana }\nrequest: { model: tiny }\ndata: { table: { inner: { n: 3 } } }',
      'data: { table: { list: [9], inner: { n: 2, more: null } } }',
    )
    expect(JSON.parse(decision.audit.labels.data)).toEqual({
      list: [9],
      inner: { kept: true, n: 3, more: null },
    })
  })
})

describe('a case', () => {
  const one = (expected: string, request = 'model: tiny'): string =>
    `principals:\n  ana: { roles: [admin] }\ncases:\n  - name: it\n    principal: ana\n    request: { ${request} }\n    expect: ${expected}\n`

  it('passes when what it expects is a part of the decision', () => {
    expect(run(one('{ allow: true, rule: ana }')).results).toEqual([
      { name: 'it', kind: 'scenario', file: 'p/x.scenario.yaml', line: 4, outcome: 'pass', message: '' },
    ])
  })

  it('fails with what was expected, what came, and the whole decision', () => {
    const [result] = run(one('{ allow: false, status: 403 }')).results
    expect(result).toMatchObject({ outcome: 'fail' })
    expect(result?.message).toContain('allow: expected false, got true')
    expect(result?.message).toContain('status: expected 403, got none')
    expect(result?.message).toContain('the decision: {"allow":true')
  })

  it('fails where the gateway would find no decision in the answer, whatever it expects', () => {
    const [result] = run(one('{ allow: true }', 'path: /undefined')).results
    expect(result).toMatchObject({ outcome: 'fail' })
    expect(result?.message).toContain('policy_error')
  })

  it('fails where the gateway would refuse the request before the policy', () => {
    const [result] = run(one('{ allow: true }', 'path: /a/../b')).results
    expect(result?.message).toContain('400 invalid_request')
  })
})

describe('a matrix', () => {
  const matrix = `principals: { ana: {}, bob: {}, eve: {} }
requests: { a: { model: a }, b: { model: b } }
matrix:
  - principals: [ana, bob, eve]
    requests: [a, b]
    expect:
      "*":
        "*": { rule: any any }
        b: { rule: any b }
      ana:
        "*": { rule: ana any }
      bob:
        b: { rule: bob b }
`

  it('takes the most specific expectation: a name before *, the principal before the request', () => {
    const cells = questions(matrix).questions.map(({ name, expect, line }) => [name, expect?.rule, line])
    expect(cells).toEqual([
      ['ana × a', 'ana any', 11],
      ['ana × b', 'ana any', 11],
      ['bob × a', 'any any', 8],
      ['bob × b', 'bob b', 13],
      ['eve × a', 'any any', 8],
      ['eve × b', 'any b', 9],
    ])
  })

  it('asks everything at every instant', () => {
    const at =
      'principals: { ana: {} }\nrequests: { a: { model: a } }\nmatrix:\n  - principals: [ana]\n    requests: [a]\n    expect: { "*": { "*": { allow: true } } }\n    at: '
    expect(
      questions(`${at}["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]`).questions.map(({ at }) => at),
    ).toEqual([Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)])
    expect(questions(`${at}2026-01-03T00:00:00Z`).questions).toMatchObject([
      { name: 'ana × a', at: Date.UTC(2026, 0, 3) },
    ])
  })

  it('fails in a cell of which nothing is said', () => {
    const { results } = run(matrix.replace(/"\*":\n {8}"\*": .*\n {8}b: .*\n {6}/, ''))
    const silent = results.filter(({ message }) => message.startsWith('nothing is expected'))
    expect(silent.map(({ name }) => name)).toEqual(['bob × a', 'eve × a', 'eve × b'])
    expect(silent.every(({ outcome }) => outcome === 'fail')).toBe(true)
  })
})

describe('what is wrong in a file is told with its place', () => {
  const good = 'principals: { ana: {} }\nrequests: { a: { model: a } }\n'
  it.each([
    ['not YAML', 'cases:\n  - name: [1\n', 'scenario_syntax', 3, 1],
    [
      'a key twice',
      'at: "2026-01-01T00:00:00Z"\nat: "2026-01-01T00:00:00Z"\ncases: []\n',
      'scenario_syntax',
      2,
      1,
    ],
    ['neither cases nor a matrix', 'principals: {}\n', 'scenario_invalid', 1, 1],
    ['an empty file', '', 'scenario_invalid', 1, 1],
    ['an unknown key', `${good}case: []\ncases: []\n`, 'scenario_unknown_key', 3, 1],
    [
      'an expectation that no decision has',
      `${good}cases:\n  - name: x\n    principal: ana\n    request: a\n    expect:\n      alow: true\n`,
      'scenario_unknown_key',
      8,
      7,
    ],
    [
      'an unknown key of a request in its place',
      `${good}cases:\n  - name: x\n    principal: ana\n    request: { modl: a }\n    expect: { allow: true }\n`,
      'scenario_unknown_key',
      6,
      16,
    ],
    [
      'a missing key',
      `${good}cases:\n  - name: x\n    principal: ana\n    expect: { allow: true }\n`,
      'scenario_invalid',
      4,
      5,
    ],
    ['no instant', `${good}at: yesterday\ncases: []\n`, 'scenario_invalid', 3, 5],
    [
      'an unknown principal',
      `${good}cases:\n  - name: x\n    principal: anna\n    request: a\n    expect: { allow: true }\n`,
      'scenario_unknown_name',
      5,
      16,
    ],
    [
      'an unknown request in a matrix',
      `${good}matrix:\n  - principals: [ana]\n    requests: [a, b]\n    expect: { "*": { "*": { allow: true } } }\n`,
      'scenario_unknown_name',
      5,
      19,
    ],
    [
      'an expectation for nobody',
      `${good}matrix:\n  - principals: [ana]\n    requests: [a]\n    expect:\n      "*": { "*": { allow: true } }\n      anna: { a: { allow: true } }\n`,
      'scenario_unknown_name',
      8,
      7,
    ],
  ])('%s', (_what, text, code, line, column) => {
    const { findings } = run(text)
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ severity: 'error', code, file: 'p/x.scenario.yaml', line, column })
  })

  it('and the other files are run all the same', () => {
    const files = [
      { shown: 'a.scenario.yaml', text: 'cases: 5\n' },
      {
        shown: 'b.scenario.yaml',
        text: `${good}cases:\n  - { name: x, principal: ana, request: a, expect: { allow: true } }\n`,
      },
    ]
    const policy = {
      bundle,
      revision: 'r',
      entrypoint: 'gateway/decision',
      builtinErrors: 'refuse',
      maxMemoryBytes: 1 << 24,
    } as const
    const { results, findings } = runScenarios(files, policy, {
      pools: () => ({}),
      readRequest: readImagined,
    })
    expect(findings).toMatchObject([{ file: 'a.scenario.yaml', line: 1, column: 8 }])
    expect(results).toMatchObject([{ name: 'x', outcome: 'pass' }])
  })
})

describe('differences', () => {
  it.each([
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: { b: [1] } }, { a: { b: [1], c: 1 } }],
    [{ a: [{ n: 1 }] }, { a: [{ n: 1, m: 2 }] }],
    [{ a: [] }, { a: [] }],
    [{ a: null }, { a: null }],
  ])('are none: %j of %j', (expected, got) => {
    expect(differences(expected, got)).toEqual([])
  })

  it.each([
    [{ a: 1 }, { a: '1' }],
    [{ a: null }, {}],
    [{ a: [] }, { a: [1] }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: {} }, { a: [] }],
    [{ a: [] }, { a: {} }],
    [{ toString: 1 }, {}],
  ])('are told: %j of %j', (expected, got) => {
    expect(differences(expected, got)).not.toEqual([])
  })

  it('say where', () => {
    expect(differences({ limits: [{ limit: 5 }] }, { limits: [{ limit: 6 }] })).toEqual([
      'limits[0].limit: expected 5, got 6',
    ])
  })
})
