import { describe, expect, it, onTestFinished } from 'vitest'
import type { Finding } from '../../../src/contract/findings.ts'
import { openWorkshop, type Workshop } from '../../../src/policy/compile/compile.ts'
import { requireOpa } from '../../../src/policy/compile/opa-command.ts'
import { readSource } from '../../../src/policy/compile/source.ts'
import { createEngine } from '../../../src/policy/engine/engine.ts'
import { temporaryFolder } from '../../support/folder.ts'

const GOOD = 'package gateway\n\ndecision := {"allow": data.open}\n'

async function workshop(files: Record<string, string>): Promise<Workshop> {
  const opened = await openWorkshop(readSource(temporaryFolder(files)), requireOpa(), 'policies')
  onTestFinished(() => opened.close())
  return opened
}
const check = async (rego: string, options = {}): Promise<Finding[]> =>
  (await workshop({ 'gateway/decision.rego': rego })).check(options)

describe('check', () => {
  it('finds nothing in a policy that is good', async () => {
    expect(await check(GOOD)).toEqual([])
  })

  it('says file, line and column of a syntax error', async () => {
    const [finding] = await check('package gateway\n\ndecision := {"allow": }\n')
    expect(finding).toMatchObject({
      severity: 'error',
      code: 'rego_parse_error',
      file: 'policies/gateway/decision.rego',
      line: 3,
      column: 23,
    })
  })

  it('leaves packages alone that say their input is their own: libraries for other documents', async () => {
    const sources = {
      'lib/pods.rego': 'package lib.pods\n\nimages := [name | name := input.spec.containers[_].image]\n',
      'gateway.rego':
        'package gateway\n\nimport data.lib.pods\n\ndecision := {"allow": count(images) > 0}\n\nimages := found if found := pods.images with input as input.request.body\n',
    }
    const schemas = '# METADATA\n# scope: subpackages\n# schemas:\n#   - input: {}\npackage lib\n'
    expect(await (await workshop(sources)).check()).toMatchObject([
      { file: 'policies/lib/pods.rego', line: 3 },
    ])
    expect(await (await workshop({ ...sources, 'lib/schemas.rego': schemas })).check()).toEqual([])
  })

  it('says them of a name that the input does not have: before it ships', async () => {
    const [finding] = await check(
      'package gateway\n\ndecision := {"allow": true} if input.request.boddy.model == "tiny"\n',
    )
    expect(finding).toMatchObject({
      code: 'rego_type_error',
      file: 'policies/gateway/decision.rego',
      line: 3,
    })
    expect(finding?.column).toBeGreaterThan(1)
  })

  it.each([
    'input.request.method == 5',
    'input.principal.rolls[_] == "admin"',
    'input.time.now_ns == "noon"',
    'input.grants[_].model == "x"',
    'startswith(input.request.body_bytes, "x")',
  ])('finds what can never hold: %s', async condition => {
    expect(await check(`package gateway\n\ndecision := {"allow": true} if ${condition}\n`)).toMatchObject([
      { code: 'rego_type_error' },
    ])
  })

  it.each([
    'input.request.body.anything.at.all == "x"',
    'input.principal.team == null',
    'input.principal.team == "search"',
    'input.request.max_output_tokens > 5',
    'input.principal.claims.groups[_] == "x"',
    'input.request.headers["x-any"] == "y"',
  ])('lets stand what may hold: %s', async condition => {
    expect(await check(`package gateway\n\ndecision := {"allow": true} if ${condition}\n`)).toEqual([])
  })

  it('refuses what would reach out of the process while it decides, and says where', async () => {
    const calls =
      'package gateway\n\ndecision := {"allow": http.send({"method": "get", "url": "http://a"}).status_code == 200}\n'
    expect(await check(calls)).toMatchObject([
      { code: 'rego_type_error', file: 'policies/gateway/decision.rego', line: 3, column: 23 },
    ])
  })

  it.each(['opa.runtime()', 'net.lookup_ip_addr("a.example")'])('refuses %s', async call => {
    expect(await check(`package gateway\n\ndecision := {"allow": true, "reasons": ${call}}\n`)).not.toEqual(
      [],
    )
  })

  it('is strict only when told to be', async () => {
    const unused = 'package gateway\n\ndecision := {"allow": true} if { x := 1 }\n'
    expect(await check(unused)).toEqual([])
    expect(await check(unused, { strict: true })).not.toEqual([])
  })

  it('tells all findings, of all files', async () => {
    const opened = await workshop({
      'a.rego': 'package a\n\nx := input.nothing',
      'b/c.rego': 'package b\n\n\ny := input.nobody',
    })
    const files = (await opened.check()).map(({ file, line }) => `${file}:${line}`)
    expect(files.sort()).toEqual(['policies/a.rego:3', 'policies/b/c.rego:4'])
  })

  it.each([
    ['data that is no JSON', { 'd/data.json': '{"a": }' }],
    ['data that is no YAML', { 'd/data.yaml': 'a: [' }],
  ])('finds %s', async (_what, files) => {
    const findings = await (await workshop({ 'gateway/decision.rego': GOOD, ...files })).check()
    expect(findings).not.toEqual([])
    for (const { file } of findings) expect(file.startsWith('policies')).toBe(true)
  })
})

describe('test', () => {
  const TESTS =
    'package gateway_test\n\nimport data.gateway\n\ntest_open if gateway.decision.allow\n\ntest_shut if not gateway.decision.allow\n'
  const FILES = {
    'gateway/decision.rego': GOOD,
    'gateway/decision_test.rego': TESTS,
    'data.json': '{"open": true}',
  }

  it('says of each rule whether it passed, and where it stands', async () => {
    const { results } = await (await workshop(FILES)).test()
    expect(results).toMatchObject([
      {
        name: 'data.gateway_test.test_open',
        kind: 'unit',
        file: 'policies/gateway/decision_test.rego',
        line: 5,
        outcome: 'pass',
      },
      { name: 'data.gateway_test.test_shut', line: 7, outcome: 'fail' },
    ])
  })

  it('runs those that are named', async () => {
    const { results } = await (await workshop(FILES)).test({ run: 'open' })
    expect(results.map(result => result.name)).toEqual(['data.gateway_test.test_open'])
  })

  it('has no results, and no findings, where there are no tests', async () => {
    expect(await (await workshop({ 'gateway/decision.rego': GOOD })).test()).toEqual({
      results: [],
      findings: [],
    })
  })
})

describe('build', () => {
  it('makes a bundle that answers, with its data beside it and not inside', async () => {
    const opened = await workshop({
      'gateway/decision.rego': GOOD,
      'data.json': '{"open": true, "n": 12345678901234567890}',
    })
    const { bundle } = await opened.build('gateway/decision')
    const engine = createEngine({
      wasm: bundle?.wasm as Uint8Array,
      dataText: bundle?.dataText as string,
      builtinErrors: 'refuse',
    })
    const instant = { nowNs: 0n, seed: 's' }
    expect(engine.evaluate('gateway/decision', '{}', instant)).toBe('{"allow":true}')
    engine.close()
    const shut = createEngine({
      wasm: bundle?.wasm as Uint8Array,
      dataText: '{"open": false}',
      builtinErrors: 'refuse',
    })
    expect(shut.evaluate('gateway/decision', '{}', instant)).toBe('{"allow":false}')
    shut.close()
  })

  it('leaves tests out', async () => {
    const opened = await workshop({
      'gateway/decision.rego': GOOD,
      'x_test.rego': 'package x\n\ntest_x if http.send({})',
    })
    expect((await opened.build('gateway/decision')).findings).toEqual([])
  })

  it('says what is wrong when it cannot', async () => {
    const broken = await (
      await workshop({ 'gateway/decision.rego': 'package gateway\n\ndecision := }' })
    ).build('gateway/decision')
    expect(broken.bundle).toBeUndefined()
    expect(broken.findings[0]).toMatchObject({ file: 'policies/gateway/decision.rego', line: 3 })
    const elsewhere = await (await workshop({ 'gateway/decision.rego': GOOD })).build('gateway/other')
    expect(elsewhere.bundle).toBeUndefined()
    expect(elsewhere.findings.length).toBeGreaterThan(0)
  })

  it('refuses a builtin that is not offered, and says where it is called', async () => {
    const opened = await workshop({
      'gateway/decision.rego':
        'package gateway\n\ndecision := http.send({"method": "get", "url": "http://a"})\n',
    })
    expect(await opened.build('gateway/decision')).toMatchObject({
      bundle: undefined,
      findings: [{ line: 3 }],
    })
  })
})

describe('a schema of data', () => {
  const SCHEMA = JSON.stringify({
    type: 'object',
    additionalProperties: false,
    required: ['roles'],
    properties: {
      roles: { type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } } },
      most: { type: 'integer' },
    },
  })
  const policy = (condition: string, data: string, name = 'data.yaml') => ({
    'gateway/decision.rego': `package gateway\n\nimport data.gateway.tables\n\ndecision := {"allow": true} if ${condition}\n`,
    [`gateway/tables/${name}`]: data,
    'gateway/tables/data.schema.json': SCHEMA,
  })
  const found = async (files: Record<string, string>) => (await workshop(files)).check()
  const GOOD_DATA = 'roles:\n  dev: [tiny]\nmost: 3\n'

  it('finds nothing where data and rules agree with it', async () => {
    expect(await found(policy('"tiny" in tables.roles[input.principal.id]', GOOD_DATA))).toEqual([])
  })

  it('finds what data must not hold, where it stands', async () => {
    expect(await found(policy('true', 'roles:\n  dev: [tiny]\n  ci: tiny\nmots: 3\n'))).toEqual([
      expect.objectContaining({
        code: 'data_unknown_key',
        file: 'policies/gateway/tables/data.yaml',
        line: 4,
      }),
      expect.objectContaining({
        code: 'data_invalid',
        message: 'roles.ci: must be array',
        line: 3,
        column: 7,
      }),
    ])
    const json = '{\n  "roles": {"dev": [1]}\n}'
    expect(await found(policy('true', json, 'data.json'))).toMatchObject([
      { code: 'data_invalid', file: 'policies/gateway/tables/data.json', line: 2 },
    ])
  })

  it('finds a rule that reads what data cannot hold, and still what the input cannot', async () => {
    expect(await found(policy('tables.rolls.dev', GOOD_DATA))).toMatchObject([
      { code: 'rego_type_error', file: 'policies/gateway/decision.rego', line: 5 },
    ])
    expect(await found(policy('tables.most == "3"', GOOD_DATA))).toMatchObject([{ code: 'rego_type_error' }])
    expect(await found(policy('input.request.boddy.model', GOOD_DATA))).toMatchObject([
      { code: 'rego_type_error', line: 5 },
    ])
  })

  it('is no part of what is built, and says when it is no schema', async () => {
    const files = policy('"tiny" in tables.roles.dev', GOOD_DATA)
    const { bundle } = await (await workshop(files)).buildPolicy('gateway/decision')
    expect(JSON.parse(bundle?.dataText ?? '')).toEqual({
      gateway: { tables: { roles: { dev: ['tiny'] }, most: 3 } },
    })
    expect(await found({ ...files, 'gateway/tables/data.schema.json': '{"type": 7}' })).toMatchObject([
      { code: 'data_schema_invalid', file: 'policies/gateway/tables/data.schema.json' },
    ])
  })

  it('may stand at the root', async () => {
    const files = {
      'gateway.rego': 'package gateway\n\ndecision := {"allow": data.opne}\n',
      'data.json': '{"open": true}',
      'data.schema.json':
        '{"type":"object","additionalProperties":false,"properties":{"open":{"type":"boolean"}}}',
    }
    expect(await found(files)).toMatchObject([{ code: 'rego_type_error', file: 'policies/gateway.rego' }])
    expect(await found({ ...files, 'gateway.rego': files['gateway.rego'].replace('opne', 'open') })).toEqual(
      [],
    )
  })
})
