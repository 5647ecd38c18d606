/**
 * Unit tests on both engines: `opa test`, which authors and editors use, and the one that serves. That they
 * differ is a failure by itself.
 */
import { testPattern, type Workshop } from '../compile/compile.ts'
import type { Coverage, TestResult } from '../compile/opa-output.ts'
import { runUnitTests, type UnitTestNeeds, type UnitTestRun } from './unit-tests.ts'

export interface CrossCheckNeeds extends UnitTestNeeds {
  readonly workshop: Pick<Workshop, 'parse' | 'test' | 'explain'>
  readonly coverage: boolean
}

export interface CrossCheck extends UnitTestRun {
  readonly coverage: Coverage | undefined
}

export async function crossCheck(needs: CrossCheckNeeds): Promise<CrossCheck> {
  const { workshop, wanted = () => true } = needs
  const [byOpa, ours] = await Promise.all([workshop.test(), runUnitTests(needs)])
  const findings = byOpa.findings.length > 0 ? byOpa.findings : ours.findings
  if (byOpa.findings.length > 0 || (ours.results.length === 0 && findings.length > 0))
    return { results: [], findings, coverage: undefined }
  const theirs = byOpa.results.filter(wanted)
  const results = await explained(compared(ours.results, theirs), theirs, workshop)
  // OPA tells no coverage when a test fails.
  const passed = theirs.filter(({ outcome }) => outcome === 'pass').map(({ name }) => name)
  const pattern = passed.length === byOpa.results.length ? {} : { run: testPattern(passed) }
  const coverage = needs.coverage ? (await workshop.test({ ...pattern, coverage: true })).coverage : undefined
  return { results, findings, coverage }
}

function compared(ours: readonly TestResult[], theirs: readonly TestResult[]): TestResult[] {
  const byName = new Map(theirs.map(result => [result.name, result]))
  const run = new Set(ours.map(({ name }) => ruleOf(name)))
  const compared = ours.map(result => {
    const their = byName.get(result.name)
    if (!their || their.outcome === result.outcome) return result
    const message =
      result.outcome === 'fail'
        ? `passes with opa test, and fails on the engine that serves: ${result.message}`
        : `passes on the engine that serves, and fails with opa test: ${their.message}`
    return { ...result, outcome: 'fail' as const, message }
  })
  const missed = theirs
    .filter(({ name }) => !run.has(ruleOf(name)))
    .map(result => ({ ...result, outcome: 'fail' as const, message: 'was run by opa test alone' }))
  return [...compared, ...missed]
}

/** Of the case of a table the rule. */
function ruleOf(name: string): string {
  return name.replace(/\[.*/, '')
}

/** The expressions that did not hold, from OPA's trace; a few tests are enough to begin with. */
async function explained(
  results: readonly TestResult[],
  theirs: readonly TestResult[],
  workshop: Pick<Workshop, 'explain'>,
): Promise<TestResult[]> {
  const failed = theirs.filter(({ outcome }) => outcome === 'fail').map(({ name }) => name)
  if (failed.length === 0) return [...results]
  const explanations = await workshop.explain(failed.slice(0, MOST_EXPLAINED))
  return results.map(result => {
    const explanation = explanations.get(result.name)
    return explanation === undefined ? result : { ...result, message: `${result.message}\n${explanation}` }
  })
}

const MOST_EXPLAINED = 20
