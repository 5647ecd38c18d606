import { describe, expect, it, onTestFinished } from 'vitest'
import { openWorkshop, type Workshop } from '../../../src/policy/compile/compile.ts'
import { requireOpa } from '../../../src/policy/compile/opa-command.ts'
import type { TestResult } from '../../../src/policy/compile/opa-output.ts'
import { type CrossCheck, crossCheck } from '../../../src/policy/tests/cross-check.ts'
import { runUnitTests, type UnitTestNeeds, type UnitTestRun } from '../../../src/policy/tests/unit-tests.ts'
import { snapshotOf } from '../../support/snapshot.ts'

const POLICY = `package g

now := time.now_ns()

later(by) := time.now_ns() + by

big if input.n > data.least

helper(name) if {
	name != null
	startswith(name, "t")
}
`
const files = (tests: string): Record<string, string> => ({
  'g.rego': POLICY,
  'data.json': '{"least": 3}',
  'sub/g_test.rego': `package g_test\n\nimport data.g\n\n${tests}\n`,
})

async function needs(sources: Record<string, string>): Promise<UnitTestNeeds & { workshop: Workshop }> {
  const snapshot = snapshotOf(sources)
  const workshop = await openWorkshop(snapshot, requireOpa(), 'p')
  onTestFinished(() => workshop.close())
  const instant = { nowNs: BigInt(Date.now()) * 1_000_000n, seed: 's' }
  return { snapshot, workshop, opa: requireOpa(), shown: 'p', instant, maxMemoryBytes: 1 << 26 }
}
const run = async (tests: string, more: Partial<UnitTestNeeds> = {}): Promise<UnitTestRun> =>
  runUnitTests({ ...(await needs(files(tests))), ...more })
const both = async (tests: string, coverage = false): Promise<CrossCheck> =>
  crossCheck({ ...(await needs(files(tests))), coverage })
const outcomes = ({ results }: { results: readonly TestResult[] }): Record<string, string> =>
  Object.fromEntries(results.map(({ name, outcome }) => [name.replace('data.g_test.', ''), outcome]))

describe('a unit test on the engine that serves', () => {
  it('passes when it is true, and nothing else will do', async () => {
    const ran = await run(
      'test_true if g.big with input as {"n": 4}\n\ntest_undefined if g.big with input as {"n": 3}\n\ntest_false := false\n\ntest_value := 1\n\ntest_set contains 1',
    )
    expect(ran.findings).toEqual([])
    expect(outcomes(ran)).toEqual({
      test_true: 'pass',
      test_undefined: 'fail',
      test_false: 'fail',
      test_value: 'fail',
      test_set: 'fail',
    })
    expect(ran.results[1]).toEqual({
      name: 'data.g_test.test_undefined',
      kind: 'unit',
      file: 'p/sub/g_test.rego',
      line: 7,
      outcome: 'fail',
      message: 'the rule is not true',
    })
  })

  it('may stand in any file, and is none when it is a function or only called like one', async () => {
    const ran = await runUnitTests(
      await needs({
        'g.rego': `${POLICY}\ntest_here if true\n\ntest_helper(x) if x\n\nlatest_one if false\n`,
      }),
    )
    expect(ran.results.map(({ name }) => name)).toEqual(['data.g.test_here'])
  })

  it('may replace data, and builtins', async () => {
    const ran = await run(`test_data if g.big with input as {"n": 2} with data.least as 1

test_constant if g.now == 5 with time.now_ns as 5

test_function if g.now == 6 with time.now_ns as six

six() := 6`)
    expect(outcomes(ran)).toEqual({ test_data: 'pass', test_constant: 'pass', test_function: 'pass' })
  })

  it("may replace them by what it computes, which OPA's compiler to WASM loses by itself", async () => {
    const ran = await run(`test_variable if {
	at := 5
	g.now == at with time.now_ns as at
}

test_call if g.now == 1772434800000000000 with time.now_ns as time.parse_rfc3339_ns("2026-03-02T08:00:00+01:00")

test_member if {
	some want in [{"ü": "é", "at": 7}]
	g.later(1) == 8 with input as {"é": "ü"} with time.now_ns as want.at
}

test_every if every at, later in {"5": 6, "6": 7} {
	g.later(1) == later with
		time.now_ns as
		to_number(at)
}

test_twice if {
	g.now == 5 with time.now_ns as to_number("5")
	g.now == 6 with time.now_ns as to_number("6")
	not g.now == 5 with time.now_ns as to_number("6")
}`)
    expect(ran.findings).toEqual([])
    expect([...new Set(Object.values(outcomes(ran)))]).toEqual(['pass'])
    expect(ran.results).toHaveLength(5)
  })

  it('is told apart from another of its name, as opa test does', async () => {
    const ran = await run('test_x if false\n\ntest_x if true\n\ntest_x if false')
    expect(outcomes(ran)).toEqual({ test_x: 'fail', 'test_x#01': 'pass', 'test_x#02': 'fail' })
    expect(ran.results.map(({ line }) => line)).toEqual([5, 7, 9])
  })

  it('ends when it does not come to an end by itself', async () => {
    const ran = await run('test_fine if true\n\ntest_data_is_text if g.helper(1)')
    expect(outcomes(ran)).toEqual({ test_fine: 'pass', test_data_is_text: 'fail' })
  })

  it('is run only when it is wanted', async () => {
    const ran = await run('test_a if true\n\ntest_b if true', { wanted: ({ name }) => name.endsWith('b') })
    expect(outcomes(ran)).toEqual({ test_b: 'pass' })
    expect(await run('test_a if true', { wanted: () => false })).toEqual({ results: [], findings: [] })
  })

  it('that calls what is not offered is a finding, with its place', async () => {
    const { results, findings } = await run('test_x if http.send({"method": "get", "url": "http://a"})')
    expect(results).toEqual([])
    expect(findings).toMatchObject([{ severity: 'error', file: 'p/sub/g_test.rego', line: 5 }])
  })
})

describe('a table test, which OPA before 1.0 skips without a word', () => {
  it('is run for each case, those that do not hold too', async () => {
    const ran = await run(`test_big[name] if {
	some name, tc in {"above": {"n": 4, "big": true}, "equal": {"n": 3, "big": true}, "below": {"n": 2, "big": false}}
	is_big(tc.n)
	tc.big
}

is_big(n) if g.big with input as {"n": n}`)
    expect(ran.findings).toEqual([])
    expect(outcomes(ran)).toEqual({
      'test_big["above"]': 'pass',
      'test_big["below"]': 'fail',
      'test_big["equal"]': 'fail',
    })
  })

  it('may declare its case first, have several keys, and constant ones', async () => {
    const ran = await run(`test_two[i][name] if {
	some i, name
	tc := [{"name": "a", "ok": true}, {"name": "b", "ok": false}][i]
	name = tc.name
	tc.ok
}

test_constant["one"] if true

test_constant["two"] if false`)
    expect(outcomes(ran)).toEqual({
      'test_two[0]["a"]': 'pass',
      'test_two[1]["b"]': 'fail',
      'test_constant["one"]': 'pass',
      'test_constant["two"]': 'fail',
    })
  })

  it('without a case is a failure', async () => {
    const ran = await run('test_none[name] if {\n\tsome name, _ in {}\n\tname == "x"\n}')
    expect(ran.results).toMatchObject([{ outcome: 'fail', message: 'the table has no cases' }])
  })

  it('whose cases cannot be told says so, and is not passed over', async () => {
    const { results, findings } = await run(
      'test_odd[upper(name)] if {\n\tsome name in ["a"]\n\tname == "b"\n}',
    )
    expect(results).toEqual([])
    expect(findings).toMatchObject([{ severity: 'error', code: 'table_test_not_run', line: 5 }])
  })
})

describe('both engines', () => {
  it('agree, and a failure says which expression did not hold, and which below it', async () => {
    const { results, findings } = await both(`test_good if g.helper("tiny")

test_bad if {
	name := "xiny"
	print("asked for", name)
	g.helper(name)
}`)
    expect(findings).toEqual([])
    expect(results.map(({ outcome }) => outcome)).toEqual(['pass', 'fail'])
    expect(results[1]?.message.split('\n')).toEqual([
      'the rule is not true',
      'p/sub/g_test.rego:10: g.helper(name)   (name = "xiny")',
      'p/g.rego:11: startswith(name, "t")   (name = "xiny")',
      'printed: asked for xiny',
    ])
  })

  it('that differ are a failure by itself', async () => {
    const own = await needs(files('test_x if true\n\ntest_y if false'))
    const result = (name: string, outcome: 'pass' | 'fail'): TestResult => ({
      ...{ name: `data.g_test.${name}`, kind: 'unit', file: 'p/sub/g_test.rego', line: 5, message: 'm' },
      outcome,
    })
    const workshop = {
      ...own.workshop,
      test: async () => ({
        results: [result('test_x', 'fail'), result('test_y', 'pass'), result('test_z', 'pass')],
        findings: [],
      }),
    }
    const { results } = await crossCheck({ ...own, workshop, coverage: false })
    expect(results.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'data.g_test.test_x fail',
      'data.g_test.test_y fail',
      'data.g_test.test_z fail',
    ])
    expect(results.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^passes on the engine that serves, and fails with opa test/),
      expect.stringMatching(/^passes with opa test, and fails on the engine that serves/),
      'was run by opa test alone',
    ])
  })

  it('tell nothing twice of what does not compile', async () => {
    const { results, findings } = await both('test_x if {')
    expect(results).toEqual([])
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ file: 'p/sub/g_test.rego', line: 6 })
  })
})

describe('coverage', () => {
  const COVERED = 'test_big if g.big with input as {"n": 4}\n\ntest_now if g.now'

  it('is of the lines of the policy, and not of its tests', async () => {
    const { coverage } = await both(COVERED, true)
    expect(Object.keys(coverage?.files ?? {})).toEqual(['p/g.rego'])
    expect(coverage?.files['p/g.rego']?.uncovered).toEqual([5, 9, 10, 11])
    expect(coverage?.percent).toBe(33.33)
  })

  it('is told when tests fail too: of those that pass', async () => {
    const { coverage } = await both(`${COVERED}\n\ntest_no if g.helper("x")`, true)
    expect(coverage?.files['p/g.rego']?.uncovered).toEqual([5, 9, 10, 11])
  })

  it('is none where there are no tests', async () => {
    const { coverage } = await crossCheck({ ...(await needs({ 'g.rego': POLICY })), coverage: true })
    expect(coverage?.percent).toBe(0)
  })
})
