import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/contract/findings.ts'
import { openWorkshop } from '../../src/policy/compile/compile.ts'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { isTest, readSource, type Snapshot } from '../../src/policy/compile/source.ts'
import { lint } from '../../src/policy/lint/lint.ts'
import { REFERENCE_POLICIES } from '../support/gateway.ts'
import { snapshotOf } from '../support/snapshot.ts'

async function findingsIn(snapshot: Snapshot): Promise<Finding[]> {
  const workshop = await openWorkshop(snapshot, requireOpa(), 'p')
  try {
    expect(await workshop.check({ strict: true })).toEqual([])
    const names = snapshot.files
      .map(({ name }) => name)
      .filter(name => name.endsWith('.rego') && !isTest(name))
    return lint(await workshop.parse(names), 'gateway/decision', 'p')
  } finally {
    workshop.close()
  }
}

const TOTAL = 'default decision := {"allow": false}\n\n'
/** Of a package `gateway` with a total decision; the rules begin in line 5. */
const codesOf = async (rules: string, files: Record<string, string> = {}): Promise<string[]> => {
  const findings = await findingsIn(
    snapshotOf({ 'g.rego': `package gateway\n\n${TOTAL}${rules}\n`, ...files }),
  )
  return findings.map(({ code }) => code)
}

describe('silent_deny', () => {
  it.each([
    ['a header', 'deny contains "x" if input.request.headers["x-foo"] == "bad"'],
    [
      'a header that is not what it should be',
      'deny contains "x" if input.request.headers["x-foo"] != "good"',
    ],
    ['the body', 'deny contains "x" if input.request.body.temperature > 1'],
    ['something inside the body', 'deny contains "x" if input.request.body.options.seed == 1'],
    ['the query', 'deny contains "x" if input.request.query.debug[0] == "1"'],
    ['a claim', 'deny contains "x" if input.principal.claims.suspended == true'],
    ['a pool', 'deny contains "x" if input.pools.gpu.healthy == 0'],
    ['a complete rule', 'deny if input.request.headers["x-foo"] == "bad"'],
    ['another word for it', 'violation contains "x" if input.request.headers["x-foo"] == "bad"'],
    ['a private one', '_blocked if input.request.headers["x-foo"] == "bad"'],
    [
      'a refusal as a decision',
      'decision := {"allow": false, "code": "no"} if input.request.headers.a == "b"',
    ],
    ['allow := false', 'allow := false if input.request.headers.a == "b"'],
    [
      'an else',
      'decision := {"allow": true, "rule": "r"} if input.request.tls else := {"allow": false, "code": "no"} if input.request.headers.a == "b"',
    ],
    [
      'a variable in between',
      'deny contains "x" if {\n\th := input.request.headers["x-foo"]\n\th == "bad"\n}',
    ],
    [
      'the message alone',
      'deny contains msg if {\n\tinput.request.tls == false\n\tmsg := sprintf("%v", [input.request.body.user])\n}',
    ],
    [
      'the value alone',
      'deny contains {"message": input.request.headers["x-foo"]} if input.request.tls == false',
    ],
    [
      'what every member is',
      'deny contains "x" if every m in input.request.body.messages { m.role == "system"; input.request.body_bytes < 9 }',
    ],
    ['the argument of a function', 'deny contains "x" if startswith(input.request.headers["x-foo"], "bad")'],
    [
      'the default of object.get that is itself read',
      'deny contains "x" if object.get(input.request.body.options, "seed", 1) == 1',
    ],
  ])('warns of a refusal that needs %s', async (_what, rule) => {
    expect(await codesOf(rule)).toContain('silent_deny')
  })

  it.each([
    ['max_output_tokens', 'deny contains "x" if input.request.max_output_tokens > 4096'],
    ['the other way round', 'deny contains "x" if 4096 < input.request.max_output_tokens'],
    ['expires_at', 'deny contains "x" if input.principal.expires_at >= "2027"'],
  ])('warns of null, which is greater than nothing: %s', async (_what, rule) => {
    expect(await codesOf(rule)).toEqual(['silent_deny'])
  })

  it.each([
    [
      'it is read with a default',
      'deny contains "x" if object.get(input.request.headers, "x-foo", "") == "bad"',
    ],
    ['it refuses unless it is there', 'deny contains "x" if not input.request.headers["x-foo"] == "good"'],
    [
      'another rule refuses what has it not',
      'deny contains "x" if input.request.headers["x-foo"] == "bad"\n\ndeny contains "y" if not input.request.headers["x-foo"]',
    ],
    [
      'it says that it is about what has it',
      'deny contains "x" if {\n\tinput.request.body.user\n\tinput.request.body.user == "root"\n}',
    ],
    [
      'it checks the type',
      'deny contains "x" if {\n\tis_number(input.request.body.n)\n\tinput.request.body.n > 1\n}',
    ],
    [
      'it looks for the key',
      'deny contains "x" if {\n\t"x-foo" in object.keys(input.request.headers)\n\tinput.request.headers["x-foo"] == "bad"\n}',
    ],
    [
      'it goes through what there is',
      'deny contains "x" if {\n\tsome name, _ in input.request.headers\n\tstartswith(name, "x-evil")\n}',
    ],
    [
      'none is an empty comprehension',
      'deny contains "x" if count([1 | input.request.headers["x-foo"] == "bad"]) > 0',
    ],
    ['it is always there', 'deny contains "x" if input.request.method == "DELETE"'],
    [
      'null is not equal to it, and that is meant',
      'deny contains "x" if input.principal.team == "contractors"',
    ],
    ['null is less, so it refuses', 'deny contains "x" if input.request.max_output_tokens < 5'],
    [
      'null is spoken of elsewhere',
      'deny contains "x" if input.request.max_output_tokens > 5\n\ndeny contains "y" if input.request.max_output_tokens == null',
    ],
    ['it permits', 'may if input.request.headers["x-foo"] == "good"'],
    [
      'it is a permission',
      'decision := {"allow": true, "rule": "r"} if input.request.headers["x-foo"] == "good"',
    ],
    ['a name only begins like it', 'denylist contains "x" if input.request.headers["x-foo"] == "good"'],
    [
      'the argument of a function hides the input',
      'deny_of(input_like) if input_like.request.headers["x-foo"] == "bad"',
    ],
  ])('is silent where %s', async (_what, rule) => {
    expect(await codesOf(rule)).toEqual([])
  })

  it('follows an import', async () => {
    const rego = `package gateway\n\nimport input.request as asked\n\n${TOTAL}deny contains "x" if asked.headers["x-foo"] == "bad"\n`
    const findings = await findingsIn(snapshotOf({ 'g.rego': rego }))
    expect(findings).toMatchObject([{ code: 'silent_deny', line: 7, column: 22 }])
  })

  it('finds the rule that refuses the rest in another file of the package', async () => {
    const rule = 'deny contains "x" if input.request.headers["x-foo"] == "bad"'
    const rest = 'package gateway\n\ndeny contains "y" if not input.request.headers["x-foo"]\n'
    expect(await codesOf(rule, { 'rest.rego': rest })).toEqual([])
    expect(await codesOf(rule, { 'rest.rego': rest.replace('package gateway', 'package other') })).toEqual([
      'silent_deny',
    ])
  })

  it('says where, what and how to mend it, once for each place in the input', async () => {
    const rego = `package gateway\n\n${TOTAL}deny contains "ü" if {\n\tinput.request.headers["x-foo"] != "a"\n\tinput.request.headers["x-foo"] != "b"\n}\n`
    const findings = await findingsIn(snapshotOf({ 'sub/g.rego': rego }))
    expect(findings).toEqual([
      {
        severity: 'warning',
        code: 'silent_deny',
        message: expect.stringContaining('input.request.headers["x-foo"] may be missing'),
        file: 'p/sub/g.rego',
        line: 6,
        column: 2,
        hint: expect.stringContaining('object.get(input.request.headers, "x-foo", …)'),
      },
    ])
  })
})

const decisionOf = async (rules: string, files: Record<string, string> = {}): Promise<string[]> => {
  const findings = await findingsIn(snapshotOf({ 'g.rego': `package gateway\n\n${rules}\n`, ...files }))
  return findings.map(({ code }) => code)
}

describe('no_default', () => {
  it.each([
    ['a condition', 'decision := {"allow": true, "rule": "r"} if input.request.tls'],
    ['data that may not be there', 'decision := {"allow": data.open, "rule": "r"}'],
    ['a rule that may not hold', 'decision := {"allow": ok, "rule": "r"}\n\nok if input.request.tls'],
    ['an optional part of the input', 'decision := {"allow": true, "rule": input.request.headers["x-foo"]}'],
    ['a function', 'decision := {"allow": f(1), "rule": "r"}\n\nf(x) if x == input.request.body_bytes'],
    [
      'an else with a condition',
      'decision := {"allow": true, "rule": "r"} if input.request.tls else := {"allow": false} if input.request.stream',
    ],
  ])('warns of a decision that needs %s', async (_what, rules) => {
    expect(await decisionOf(rules)).toEqual(['no_default'])
  })

  it.each([
    [
      'a default',
      'default decision := {"allow": false}\n\ndecision := {"allow": true, "rule": "r"} if input.request.tls',
    ],
    ['no condition', 'decision := {"allow": true, "rule": "r"}'],
    [
      'rules that are total themselves',
      'decision := {"allow": ok, "rule": "r", "reasons": deny}\n\ndefault ok := false\n\nok if input.request.tls\n\ndeny contains "x" if input.request.stream',
    ],
    [
      'what is always in the input',
      'decision := {"allow": input.request.tls, "rule": input.request.operation}',
    ],
    [
      'an else without a condition',
      'decision := {"allow": true, "rule": "r"} if input.request.tls else := {"allow": false}',
    ],
    ['a comprehension', 'decision := {"allow": count([1 | input.request.tls]) > 0, "rule": "r"}'],
  ])('is silent where there is %s', async (_what, rules) => {
    expect(await decisionOf(rules)).toEqual([])
  })

  it('follows imports into other packages', async () => {
    const lib = { 'lib.rego': 'package lib\n\ndefault ok := false\n\nok if input.request.tls\n' }
    expect(await decisionOf('import data.lib\n\ndecision := {"allow": lib.ok, "rule": "r"}', lib)).toEqual([])
    expect(await decisionOf('decision := {"allow": data.lib.ok, "rule": "r"}', lib)).toEqual([])
    const partial = { 'lib.rego': 'package lib\n\nok if input.request.tls\n' }
    expect(
      await decisionOf('import data.lib\n\ndecision := {"allow": lib.ok, "rule": "r"}', partial),
    ).toEqual(['no_default'])
  })
})

describe('unnamed_allow', () => {
  it.each([
    ['a value', 'decision := {"allow": true} if input.request.tls'],
    ['what may be one', 'decision := {"allow": input.request.tls}'],
    ['a variable', 'decision := answer if {\n\tinput.request.tls\n\tanswer := {"allow": true}\n}'],
    ['a default', ''],
  ])('warns of a permission without a rule: %s', async (_what, rule) => {
    const fallback =
      rule === '' ? 'default decision := {"allow": true}' : 'default decision := {"allow": false}'
    expect(await decisionOf(`${fallback}\n\n${rule}`)).toEqual(['unnamed_allow'])
  })

  it.each([
    ['is named', 'decision := {"allow": true, "rule": "r"} if input.request.tls'],
    ['is a refusal', 'decision := {"allow": false, "code": "no"} if input.request.tls'],
    [
      'is put together, and may be named elsewhere',
      'decision := object.union({"allow": true}, {"rule": "r"}) if input.request.tls',
    ],
    ['is no decision of the gateway', 'other := {"allow": true} if input.request.tls'],
  ])('is silent where it %s', async (_what, rule) => {
    expect(await codesOf(rule)).toEqual([])
  })
})

describe('unbounded_body', () => {
  it.each([
    ['some … in', 'n := count([m | some m in input.request.body.messages])'],
    ['a wildcard', 'n := count([1 | input.request.body.messages[_].role == "system"])'],
    ['an index without a value', 'n := [i | some i; input.request.body.messages[i].role == "system"]'],
    ['every', 'may if every m in input.request.body.messages { m.role == "user" }'],
    ['walk', 'n := [p | walk(input.request.body, [p, _])]'],
  ])('warns of %s', async (_what, rule) => {
    expect(await codesOf(rule)).toEqual(['unbounded_body'])
  })

  it.each([
    [
      'the length is bounded',
      'may if {\n\tcount(input.request.body.messages) <= 100\n\tsome m in input.request.body.messages\n\tm.role == "user"\n}',
    ],
    [
      'the size is',
      'may if {\n\tinput.request.body_bytes < 65536\n\tsome m in input.request.body.messages\n\tm.role == "user"\n}',
    ],
    [
      'the index has a value',
      'may if {\n\tsome i in [0, 1]\n\tinput.request.body.messages[i].role == "user"\n}',
    ],
    ['it is something else', 'may if {\n\tsome g in input.grants\n\tg.id == "g"\n}'],
  ])('is silent where %s', async (_what, rule) => {
    expect(await codesOf(rule)).toEqual([])
  })
})

describe('patterns', () => {
  it.each([
    ['pattern_from_input', 'may if regex.match(input.request.headers["x-foo"], "a")'],
    [
      'pattern_from_input',
      'may if {\n\tp := input.request.body.p\n\tregex.match(concat("", ["^", p]), "a")\n}',
    ],
    ['pattern_from_input', 'may if {\n\tsome p in input.request.segments\n\tglob.match(p, [], "a")\n}'],
    ['pattern_from_input', 'n := regex.replace("a", input.request.path, "b")'],
    ['runaway_replace', 'n := replace("a", input.request.path, "b")'],
    ['runaway_replace', 'n := replace(input.request.path, "", "b")'],
    ['runaway_replace', 'n := strings.replace_n({"": "b"}, input.request.path)'],
    ['runaway_replace', 'n := strings.replace_n(input.request.headers, "a")'],
  ])('warns of %s: %s', async (code, rule) => {
    expect(await codesOf(rule)).toEqual([code])
  })

  it.each([
    'may if regex.match("^a", input.request.path)',
    'may if regex.match(data.patterns.path, input.request.path)',
    'n := replace(input.request.path, "a", input.request.method)',
    'n := strings.replace_n({"a": "b"}, input.request.path)',
    'may if glob.match(input.principal.id, [], "a")',
  ])('lets stand %s', async rule => {
    expect(await codesOf(rule)).toEqual([])
  })
})

it('finds nothing in the reference policy', async () => {
  expect(await findingsIn(readSource(REFERENCE_POLICIES))).toEqual([])
})

it('says nothing of tests', async () => {
  const test = {
    'g_test.rego': 'package gateway_test\n\ndeny contains "x" if input.request.headers.a == "b"\n',
  }
  expect(await codesOf('', test)).toEqual([])
})
