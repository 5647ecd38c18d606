/**
 * Unit tests on the engine that serves: each `test_*` rule is an entrypoint of a module that is built for
 * the tests, and is asked as a decision is.
 *
 * Two things are done to a copy of the sources first. Rules that share a name are told apart, as `opa test`
 * does. And a table test, `test_x[case]`, gets a companion that names its cases: a case that does not
 * hold is merely missing from the rule itself.
 */
import path from 'node:path'
import type { Finding } from '../../contract/findings.ts'
import type { Bundle } from '../bundles/bundle.ts'
import { openWorkshop, type Workshop } from '../compile/compile.ts'
import type { OpaCommand } from '../compile/opa-command.ts'
import type { TestResult } from '../compile/opa-output.ts'
import type { Snapshot } from '../compile/source.ts'
import { createEngine, type Instant, type TermEngine } from '../engine/engine.ts'
import { EngineError } from '../engine/engine-error.ts'
import { listTests, type TestSource, type UnitTest } from './test-sources.ts'

export interface UnitTestNeeds {
  readonly snapshot: Snapshot
  /** In which the snapshot is read. */
  readonly workshop: Pick<Workshop, 'parse'>
  readonly opa: OpaCommand
  /** What stands before the names of files in results. */
  readonly shown: string
  readonly instant: Instant
  readonly maxMemoryBytes: number
  /** Which of them. */
  readonly wanted?: ((test: Pick<UnitTest, 'name' | 'file'>) => boolean) | undefined
}

export interface UnitTestRun {
  readonly results: readonly TestResult[]
  readonly findings: readonly Finding[]
}

export async function runUnitTests(needs: UnitTestNeeds): Promise<UnitTestRun> {
  const first = await prepared(needs, { cases: true })
  // A companion that does not compile must not take the other tests with it.
  const again = first.findings.length > 0 && first.tests.some(({ cases }) => cases !== undefined)
  const { tests, bundle, findings } = again ? await prepared(needs, { cases: false }) : first
  return bundle ? ran(tests, bundle, needs) : { results: [], findings }
}

interface Prepared {
  readonly tests: readonly UnitTest[]
  /** Undefined when there is nothing to run. */
  readonly bundle: Pick<Bundle, 'wasm' | 'dataText'> | undefined
  readonly findings: readonly Finding[]
}

async function prepared(needs: UnitTestNeeds, options: { cases: boolean }): Promise<Prepared> {
  const source = await listTests(needs.snapshot, needs.workshop, needs.shown, options)
  const unread = source.unread.map(file => unreadable(file, needs))
  const tests = source.tests.filter(test => needs.wanted?.(test) ?? true)
  if (unread.length > 0 || tests.length === 0) return { tests, bundle: undefined, findings: unread }
  return { tests, ...(await buildTests(source, tests, needs)) }
}

function ran(
  tests: readonly UnitTest[],
  { wasm, dataText }: Pick<Bundle, 'wasm' | 'dataText'>,
  needs: UnitTestNeeds,
): UnitTestRun {
  let engine: TermEngine | undefined
  try {
    const loaded = createEngine({
      wasm,
      dataText,
      // As `opa test` does: a test may be about what is undefined.
      builtinErrors: 'undefined',
      maxMemoryBytes: needs.maxMemoryBytes,
      maxEvaluationMs: MOST_MS,
    })
    engine = loaded
    const results = tests.flatMap(test => resultsOf(test, loaded, needs.instant))
    return { results, findings: tests.flatMap(notRun) }
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause
    const { code, message } = cause
    return {
      results: [],
      findings: [{ severity: 'error', code, message, file: needs.shown, line: 0, column: 0 }],
    }
  } finally {
    engine?.close()
  }
}

/** A test that does not come to an end must not take the others with it. */
const MOST_MS = 5000

async function buildTests(
  { snapshot }: TestSource,
  tests: readonly UnitTest[],
  { opa, shown }: UnitTestNeeds,
): ReturnType<Workshop['build']> {
  const workshop = await openWorkshop(snapshot, opa, shown)
  try {
    const entrypoints = tests.flatMap(test => [test.entrypoint, ...(test.cases ? [test.cases] : [])])
    return await workshop.build([...new Set(entrypoints)], { tests: true })
  } finally {
    workshop.close()
  }
}

function resultsOf(test: UnitTest, engine: TermEngine, instant: Instant): TestResult[] {
  const { name, file, line } = test
  const result = (of: string, message: string): TestResult => ({
    name: of,
    kind: 'unit',
    file,
    line,
    outcome: message === '' ? 'pass' : 'fail',
    message,
  })
  if (test.isTable && !test.cases) return []
  try {
    const value = documentOf(engine.evaluateWith(test.entrypoint, undefined, instant))
    if (!test.cases) return [result(name, verdictOn(value))]
    const cases = documentOf(engine.evaluateWith(test.cases, undefined, instant)) as unknown[][]
    if (cases.length === 0) return [result(name, 'the table has no cases')]
    return cases.map(keys => {
      const held = keys.reduce<unknown>((inside, key) => memberOf(inside, key), value)
      return result(`${name}${keys.map(key => `[${JSON.stringify(key)}]`).join('')}`, verdictOn(held))
    })
  } catch (cause) {
    if (cause instanceof EngineError) return [result(name, `${cause.code}: ${cause.message}`)]
    throw cause
  }
}

/** As `opa test` judges: nothing but `true` will do. */
function verdictOn(value: unknown): string {
  if (value === true) return ''
  return value === undefined ? 'the rule is not true' : `the rule is not true but ${JSON.stringify(value)}`
}

function documentOf(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text)
}

/** Of a document that is made by rules, whose keys JSON turned into text. */
function memberOf(value: unknown, key: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  const name = typeof key === 'string' ? key : JSON.stringify(key)
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

function unreadable(file: string, { shown }: UnitTestNeeds): Finding {
  const message = 'cannot be parsed, so its tests cannot be run'
  return {
    severity: 'error',
    code: 'rego_parse_error',
    message,
    file: path.join(shown, file),
    line: 0,
    column: 0,
  }
}

function notRun({ isTable, cases, name, file, line }: UnitTest): Finding[] {
  if (!isTable || cases) return []
  const message = `${name} was not run: its cases cannot be told from the rule`
  const hint = 'bind the case in a line of its own: `some case, want in {…}`'
  return [{ severity: 'error', code: 'table_test_not_run', message, file, line, column: 1, hint }]
}
