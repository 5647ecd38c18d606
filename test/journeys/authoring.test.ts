import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import {
  CLI,
  newFolder,
  prepare,
  REFERENCE_POLICIES,
  runCommand,
  startGateway,
  stopAll,
  writeFiles,
} from '../support/gateway.ts'
import { readXml } from '../support/xml.ts'

afterEach(stopAll)

/** Decides, and has one of each fault that only a lint can know. */
const FAULTY = `package gateway

decision := {"allow": true} if {
	count(deny) == 0
	input.principal.authenticated
}

decision := {"allow": false, "rule": "deny", "code": "forbidden"} if count(deny) > 0

deny contains "the header" if input.request.headers["x-environment"] != "test"

deny contains "too much" if input.request.max_output_tokens > 4096

deny contains "the words" if {
	some message in input.request.body.messages
	regex.match(input.request.headers["x-pattern"], message.content)
}

path := replace(input.request.path, input.request.headers["x-prefix"], "")
`

const GOOD = `package gateway

default decision := {"allow": false, "rule": "default", "status": 403, "code": "forbidden"}

decision := {"allow": true, "rule": "developer", "pool": pool} if {
	"developer" in input.principal.roles
	open
}

decision := {"allow": false, "rule": "shut", "code": "outside_hours"} if not open

open if {
	[hour, _, _] := time.clock([time.now_ns(), data.zone])
	hour >= 8
	hour < 18
}

pool := name if some name, _ in input.pools

unused(x) := x + 1
`
const UNIT = `package gateway_test

import data.gateway

test_open if gateway.open with time.now_ns as time.parse_rfc3339_ns("2026-03-02T08:00:00+01:00")

test_shut if not gateway.open with time.now_ns as time.parse_rfc3339_ns("2026-03-02T18:00:00+01:00")

test_hours[at] if {
	some at, want in {"2026-03-29T03:00:00+02:00": false, "2026-03-30T08:00:00+02:00": true}
	want == is_open(at)
}

is_open(at) if gateway.open with time.now_ns as time.parse_rfc3339_ns(at)

default is_open(_) := false
`
const SCENARIO = `# yaml-language-server: $schema=../schemas/scenario.schema.json
at: "2026-03-02T12:00:00+01:00"
principals:
  dev: { roles: [developer] }
  lea: { roles: [analyst] }
requests:
  chat: { model: tiny }
cases:
  - name: at noon
    principal: dev
    request: chat
    expect: { allow: true, pool: chat }
  - name: in another zone it is evening
    principal: dev
    request: chat
    data: { zone: Asia/Tokyo }
    expect: { allow: false, code: outside_hours }
matrix:
  - principals: [dev, lea]
    requests: [chat]
    at: ["2026-10-25T08:00:00+01:00", "2026-10-25T08:00:00+02:00"]
    expect:
      "*": { "*": { allow: false } }
`
const POLICY = {
  'gateway.rego': GOOD,
  'data.json': '{"zone": "Europe/Berlin"}',
  'gateway_test.rego': UNIT,
}

/** A folder with a config, its policy, and whatever else. */
function project(policy: Record<string, string>, config: Record<string, object> = {}): string {
  const folder = newFolder()
  prepare(folder, { policy, config })
  return folder
}
const sallyport = (cwd: string, ...args: string[]) => runCommand(args, { cwd })

it('ends in peace when its reader has gone, as with `| head`', async () => {
  const child = spawn(process.execPath, [CLI, 'check'], {
    cwd: project(POLICY),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let told = ''
  child.stderr.on('data', part => {
    told += part
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect(told).toBe('')
})

describe('check, on a policy with faults', () => {
  it('is JUnit too, where a CI reads that', async () => {
    const faulty = await sallyport(
      project({ 'gateway.rego': 'package gateway\n\nx := y\n' }),
      'check',
      '--format',
      'junit',
    )
    expect(faulty.code).toBe(1)
    const cases = readXml(faulty.stdout).filter(({ name }) => name === 'testcase')
    expect(cases[0]?.attributes).toMatchObject({ file: 'policies/gateway.rego', line: '3' })
    const good = await sallyport(project(POLICY), 'check', '--format', 'junit')
    expect(good.code).toBe(0)
    expect(readXml(good.stdout)[0]?.attributes).toMatchObject({ errors: '0' })
  })

  it('warns of each, with its place, and does not fail for warnings', async () => {
    const { code, stdout } = await sallyport(project({ 'gateway.rego': FAULTY }), 'check', '--format', 'json')
    const { findings, ...rest } = JSON.parse(stdout)
    expect(rest).toEqual({})
    expect(findings.map(({ code, line, column }: never) => `${line}:${column} ${code}`)).toEqual([
      '3:1 no_default',
      '3:13 unnamed_allow',
      '10:31 silent_deny',
      '12:29 silent_deny',
      '15:18 unbounded_body',
      '16:14 silent_deny',
      '16:14 pattern_from_input',
      '19:37 runaway_replace',
    ])
    for (const finding of findings) {
      expect(Object.keys(finding).sort()).toEqual(
        ['severity', 'code', 'message', 'file', 'line', 'column', 'hint'].sort(),
      )
      expect(finding).toMatchObject({ severity: 'warning', file: 'policies/gateway.rego' })
    }
    expect(code).toBe(0)
  })

  it('shows people the line, a caret and a hint, and CI a workflow command', async () => {
    const folder = project({ 'gateway.rego': FAULTY })
    const pretty = (await sallyport(folder, 'check')).stdout
    expect(pretty).toContain('policies/gateway.rego:10:31: warning: ')
    expect(pretty).toContain(
      `  10 | deny contains "the header" if input.request.headers["x-environment"] != "test"\n     | ${' '.repeat(30)}^\n  hint: `,
    )
    expect(pretty).toContain('no errors, 8 warnings')
    const github = (await sallyport(folder, 'check', '--format', 'github')).stdout.trim().split('\n')
    expect(github).toHaveLength(8)
    expect(github[2]).toMatch(/^::warning file=policies\/gateway.rego,line=10,col=31,title=silent_deny::/)
  })

  it('fails for what the input cannot have, and for an answer that is no decision', async () => {
    const misspelt = project({
      'gateway.rego': GOOD.replace('input.principal.roles', 'input.principal.rolls'),
    })
    const wrong = await sallyport(misspelt, 'check', '--format', 'json')
    expect(wrong.code).toBe(1)
    expect(JSON.parse(wrong.stdout).findings).toMatchObject([
      { severity: 'error', code: 'rego_type_error', file: 'policies/gateway.rego', line: 6 },
    ])
    const shape = await sallyport(
      project({ 'gateway.rego': 'package gateway\n\ndecision := {"allow": true, "rul": "r"}\n' }),
      'check',
    )
    expect(shape.code).toBe(1)
    expect(shape.stdout).toContain('rul')
  })

  it('finds nothing in the reference policy', async () => {
    const folder = project({})
    writeFiles(folder, { 'gateway.config.json': config(REFERENCE_POLICIES) })
    expect(await sallyport(folder, 'check', '--format', 'json')).toMatchObject({
      code: 0,
      stdout: '{\n  "findings": []\n}\n',
    })
  })

  it('loads a bundle, and refuses one that calls what is not offered', async () => {
    const folder = project({ 'gateway.rego': GOOD, 'data.json': '{"zone": "UTC"}' })
    const opa = requireOpa()
    const build = async (rego: string, name: string): Promise<void> => {
      mkdirSync(path.join(folder, name))
      writeFileSync(path.join(folder, name, 'g.rego'), rego)
      const flags = [
        '--v1-compatible',
        '-t',
        'wasm',
        '-e',
        'gateway/decision',
        '-b',
        name,
        '-o',
        `${name}.tar.gz`,
      ]
      expect(await opa.run(['build', ...flags], { cwd: folder })).toMatchObject({ status: 0 })
      writeFiles(folder, { 'gateway.config.json': config(`${name}.tar.gz`) })
    }
    await build('package gateway\n\ndecision := {"allow": true, "rule": "r"}\n', 'good')
    expect(await sallyport(folder, 'check')).toMatchObject({ code: 0 })
    await build(
      'package gateway\n\ndecision := {"allow": http.send({"method": "get", "url": "http://a"}).x}\n',
      'bad',
    )
    const refused = await sallyport(folder, 'check', '--format', 'json')
    expect(refused.code).toBe(1)
    expect(JSON.parse(refused.stdout).findings).toMatchObject([
      {
        severity: 'error',
        code: 'unsupported_builtin',
        file: 'bad.tar.gz',
        message: expect.stringContaining('http.send'),
      },
    ])
    await build(
      'package gateway\n\n# http.send(x) in a comment\ndecision := {"allow": ok}\n\nok if {\n\thttp.send({"method": "get", "url": "http://a"}).x\n}\n',
      'placed',
    )
    const placed = await sallyport(folder, 'check', '--format', 'json')
    expect(JSON.parse(placed.stdout).findings).toMatchObject([
      {
        code: 'unsupported_builtin',
        message: 'the builtin http.send is not offered',
        file: 'placed.tar.gz/placed/g.rego',
        line: expect.any(Number),
      },
    ])
    expect(JSON.parse(placed.stdout).findings[0].line).toBeGreaterThan(1)
  })

  it('says of a config that is not valid where, in the form that was asked for', async () => {
    const folder = newFolder()
    writeFiles(folder, { 'gateway.config.json': '{\n  "policy": {"paht": "p"}\n}' })
    for (const command of ['check', 'test']) {
      const { code, stdout } = await sallyport(folder, command, '--format', 'github')
      expect(code).toBe(2)
      expect(stdout).toContain('::error file=gateway.config.json,line=2,')
    }
  })
})

const config = (policy: string): string =>
  JSON.stringify({
    policy: { path: policy },
    pools: { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] } },
  })

describe('test', () => {
  it('runs unit tests and scenarios, and tells each of them', async () => {
    const folder = project({ ...POLICY, 'scenarios/hours.scenario.yaml': SCENARIO })
    const { code, stdout } = await sallyport(folder, 'test', '--format', 'json')
    const { results, ...rest } = JSON.parse(stdout)
    expect(rest).toEqual({ coverage: null })
    const told = results.map(({ name, kind, line, outcome }: never) => `${outcome} ${kind} ${line} ${name}`)
    expect(told).toEqual([
      'pass unit 5 data.gateway_test.test_open',
      'pass unit 7 data.gateway_test.test_shut',
      'pass unit 9 data.gateway_test.test_hours["2026-03-29T03:00:00+02:00"]',
      'pass unit 9 data.gateway_test.test_hours["2026-03-30T08:00:00+02:00"]',
      'pass scenario 9 at noon',
      'pass scenario 13 in another zone it is evening',
      // The night on which the clocks go back: 08:00 +01:00 is eight o'clock in Berlin, 08:00 +02:00 is seven.
      'fail scenario 23 dev × chat at 2026-10-25T08:00:00+01:00',
      'pass scenario 23 lea × chat at 2026-10-25T08:00:00+01:00',
      'pass scenario 23 dev × chat at 2026-10-25T08:00:00+02:00',
      'pass scenario 23 lea × chat at 2026-10-25T08:00:00+02:00',
    ])
    for (const result of results)
      expect(Object.keys(result)).toEqual(['name', 'kind', 'file', 'line', 'outcome', 'message'])
    expect(results[6]).toMatchObject({
      file: 'policies/scenarios/hours.scenario.yaml',
      message: expect.stringContaining('allow: expected false, got true'),
    })
    expect(code).toBe(1)
  })

  it('says why a unit test failed: the expression, and the one below it', async () => {
    const folder = project({
      ...POLICY,
      'more_test.rego':
        'package more_test\n\nimport data.gateway\n\ntest_it if {\n\tdecision := gateway.decision with input as {"principal": {"roles": []}}\n\tdecision.rule == "developer"\n}\n',
    })
    const { code, stdout } = await sallyport(folder, 'test')
    expect(code).toBe(1)
    expect(stdout).toContain('policies/more_test.rego:5: FAIL data.more_test.test_it\n')
    expect(stdout).toContain('policies/more_test.rego:7: decision.rule == "developer"   (decision = {')
    expect(stdout).toContain('4 passed, 1 failed (5 unit tests, 0 scenarios)')
  })

  it('fails when opa test and the engine that serves differ', async () => {
    const lost =
      'package more_test\n\nimport data.lib\n\ntest_it if {\n\tx := 5\n\tlib.twice == 10 with data.lib.one as x\n}\n'
    const lib = 'package lib\n\none(_) := 1\n\ntwice := one(1) * 2\n'
    const folder = project({ ...POLICY, 'lib.rego': lib, 'lib_test.rego': lost })
    const { code, stdout } = await sallyport(folder, 'test', '--run', 'test_it', '--format', 'json')
    expect(JSON.parse(stdout).results).toMatchObject([
      {
        outcome: 'fail',
        message: expect.stringMatching(/^passes with opa test, and fails on the engine that serves/),
      },
    ])
    expect(code).toBe(1)
  })

  it('says of a scenario that fails which rules led to the decision', async () => {
    const wrong = SCENARIO.replace(
      'expect: { allow: true, pool: chat }',
      'expect: { allow: true, pool: large }',
    )
    const folder = project({ ...POLICY, 'hours.scenario.yaml': wrong })
    const { stdout } = await sallyport(folder, 'test', '--run', 'noon')
    expect(stdout).toContain('pool: expected "large", got "chat"')
    expect(stdout).toContain('the decision: {"allow":true,"rule":"developer","pool":"chat"}')
    expect(stdout).toContain('policies/gateway.rego:5: data.gateway.decision is true')
    expect(stdout).toContain('policies/gateway.rego:12: data.gateway.open is true')
  })

  it('measures coverage by line, shows what was not reached, and holds it to a threshold', async () => {
    const folder = project(POLICY)
    const below = await sallyport(folder, 'test', '--threshold', '90')
    expect(below.code).toBe(1)
    expect(below.stdout).toContain('policies/gateway.rego: 36.3 %, not covered: 3, 5-7, 10, 18, 20')
    expect(below.stdout).not.toContain('gateway_test.rego:')
    expect(below.stdout).toContain('coverage is below 90 %')
    expect((await sallyport(folder, 'test', '--threshold', '36.3')).code).toBe(0)
    const { coverage, files } = JSON.parse(
      (await sallyport(folder, 'test', '--coverage', '--format', 'json')).stdout,
    )
    expect(coverage).toBe(files['policies/gateway.rego'].percent)
    const unmeasured = await sallyport(folder, 'test', '--format', 'json')
    expect(JSON.parse(unmeasured.stdout)).toMatchObject({ coverage: null })
  })

  it('writes JUnit that is well-formed, and workflow commands', async () => {
    const folder = project({ ...POLICY, 'scenarios/hours.scenario.yaml': SCENARIO })
    const elements = readXml(
      (await sallyport(folder, 'test', '--format', 'junit', '--threshold', '99')).stdout,
    )
    expect(elements[0]?.attributes).toMatchObject({ tests: '11', failures: '2', errors: '0' })
    expect(elements.filter(({ name }) => name === 'testcase')).toHaveLength(11)
    const github = (await sallyport(folder, 'test', '--format', 'github')).stdout
    expect(github).toMatch(
      /^::error file=policies\/scenarios\/hours.scenario.yaml,line=23,col=1,title=test_failed::/m,
    )
  })

  it('tells what is wrong in a scenario file with line and column, and runs the others', async () => {
    const broken = SCENARIO.replace('principal: dev', 'principal: def').replace('allow: true', 'alow: true')
    const folder = project({ ...POLICY, 'a.scenario.yaml': broken, 'b.scenario.yaml': SCENARIO })
    const { code, stdout } = await sallyport(folder, 'test', '--run', 'noon')
    expect(code).toBe(1)
    expect(stdout).toContain('policies/a.scenario.yaml:12:15: error: cases[0].expect.alow: unknown key')
    expect(stdout).toContain('1 passed, 0 failed')
  })

  it('takes a part of the policy, another policy, or scenarios from elsewhere', async () => {
    const folder = project({ ...POLICY, 'scenarios/hours.scenario.yaml': SCENARIO })
    writeFiles(folder, {
      'elsewhere/more.scenario.yaml': SCENARIO.replace('at noon', 'from elsewhere'),
      'other/x.rego': 'package x\n\ntest_x if true\n',
    })
    const names = async (...args: string[]): Promise<string[]> => {
      const { stdout } = await sallyport(folder, 'test', '--format', 'json', ...args)
      return JSON.parse(stdout).results.map(({ name }: { name: string }) => name)
    }
    expect(await names('policies/scenarios')).toHaveLength(6)
    expect(await names('policies/gateway_test.rego')).toHaveLength(4)
    expect(await names('other')).toEqual(['data.x.test_x'])
    expect(await names('elsewhere', '--run', 'elsewhere$')).toEqual(['from elsewhere'])
    expect(await names('policies', 'other', '--run', 'noon|test_x')).toEqual(['at noon', 'data.x.test_x'])
    for (const wrong of [['nowhere'], ['--run', '('], ['--threshold', '101'], ['--format', 'xml']])
      expect((await sallyport(folder, 'test', ...wrong)).code).toBe(2)
  })

  it('runs again when something changes, and ends when it is told to', async () => {
    const folder = project({ ...POLICY, 'x_test.rego': 'package x_test\n\ntest_x if false\n' })
    const child = spawn(process.execPath, [CLI, 'test', '--watch', '--run', 'test_x'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const until = async (wanted: string): Promise<void> => {
      for (;;) {
        const { value, done } = await lines.next()
        if (done) throw new Error(`ended before ${wanted}`)
        if (value.includes(wanted)) return
      }
    }
    await until('0 passed, 1 failed')
    writeFiles(folder, { 'policies/x_test.rego': 'package x_test\n\ntest_x if {\n' })
    await until('policies/x_test.rego:')
    writeFiles(folder, { 'policies/x_test.rego': 'package x_test\n\ntest_x if true\n' })
    await until('1 passed, 0 failed')
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('a policy whose own scenarios fail', () => {
  it('is not put in force: the one before stays, and where it failed is told', async () => {
    const gateway = await startGateway({
      policy: { ...POLICY, 'hours.scenario.yaml': SCENARIO.replace(/matrix:[\s\S]*/, '') },
    })
    const [first] = (await gateway.status()).policy.attempts
    expect(first).toMatchObject({ outcome: 'activated' })
    gateway.writePolicy({ 'gateway.rego': GOOD.replace('hour >= 8', 'hour >= 13') })
    const { diagnostics } = await gateway.logged('policy_refused')
    expect(diagnostics).toMatchObject([
      { code: 'test_failed', file: 'policies/gateway_test.rego', line: 5 },
      { code: 'test_failed', file: 'policies/gateway_test.rego', line: 9 },
      { code: 'test_failed', file: 'policies/hours.scenario.yaml', line: 9 },
    ])
    const { policy } = await gateway.status()
    expect(policy.revision).toBe(first.revision)
    expect(policy.attempts[0]).toMatchObject({ outcome: 'refused' })
  })

  it('nor is one whose scenarios cannot be read', async () => {
    const gateway = await startGateway({ policy: { ...POLICY, 'x.scenario.yaml': 'cases: 1\n' } })
    const { diagnostics } = await gateway.logged('policy_refused')
    expect(diagnostics).toMatchObject([
      { code: 'scenario_invalid', file: 'policies/x.scenario.yaml', line: 1, column: 8 },
    ])
  })
})
