/**
 * `test`: the policy's own tests.
 */
import path from 'node:path'
import type { Finding } from '../contract/findings.ts'
import { openWorkshop, type TestRun } from '../policy/compile.ts'
import { requireOpa } from '../policy/opa-command.ts'
import type { Coverage, TestResult } from '../policy/opa-output.ts'
import { readSource } from '../policy/source.ts'
import { shownPath } from './config.ts'
import { CommandExit, EXIT, type Format, print, printFindings, printJson } from './output.ts'

export interface TestOptions {
  readonly format: Format
  readonly run?: string
  readonly coverage?: boolean
  /** Per cent of lines. */
  readonly threshold?: number
}

export async function test(folders: readonly string[], options: TestOptions): Promise<void> {
  const wantsCoverage = options.coverage === true || options.threshold !== undefined
  const runs: TestRun[] = []
  for (const folder of folders) runs.push(await testFolder(path.resolve(folder), options.run, wantsCoverage))
  const results = runs.flatMap(run => run.results)
  const findings = runs.flatMap(run => run.findings)
  const coverage = wantsCoverage ? lowest(runs) : undefined
  report(results, findings, coverage, options.format)
  const failed = findings.length > 0 || results.some(result => result.outcome === 'fail')
  const uncovered = options.threshold !== undefined && (coverage?.percent ?? 0) < options.threshold
  if (uncovered && options.format === 'pretty') print(`coverage is below ${options.threshold} %`)
  if (failed || uncovered) throw new CommandExit(EXIT.findings)
}

async function testFolder(folder: string, run: string | undefined, coverage: boolean): Promise<TestRun> {
  const workshop = await openWorkshop(readSource(folder), requireOpa(), shownPath(folder))
  try {
    return await workshop.test({ coverage, ...(run === undefined ? {} : { run }) })
  } finally {
    workshop.close()
  }
}

/** Of several folders each must reach the threshold. */
function lowest(runs: readonly TestRun[]): Coverage | undefined {
  const all = runs.map(run => run.coverage).filter(coverage => coverage !== undefined)
  const percent = Math.min(...all.map(coverage => coverage.percent))
  return all.length === 0
    ? undefined
    : { percent, files: Object.assign({}, ...all.map(coverage => coverage.files)) }
}

function report(
  results: readonly TestResult[],
  findings: readonly Finding[],
  coverage: Coverage | undefined,
  format: Format,
): void {
  if (format === 'json') {
    const problems = findings.length > 0 ? { findings } : {}
    printJson({
      results,
      ...(coverage ? { coverage: coverage.percent, files: coverage.files } : {}),
      ...problems,
    })
    return
  }
  printFindings(findings, format)
  for (const result of results.filter(result => result.outcome === 'fail')) {
    print(`${result.file}:${result.line}: FAIL ${result.name}: ${result.message}`)
  }
  const failed = results.filter(result => result.outcome === 'fail').length
  print(`${results.length - failed} passed, ${failed} failed`)
  if (!coverage) return
  for (const [file, { percent, uncovered }] of Object.entries(coverage.files)) {
    if (uncovered.length > 0) print(`${file}: ${percent.toFixed(1)} %, not covered: ${uncovered.join(', ')}`)
  }
  print(`coverage: ${coverage.percent.toFixed(1)} % of lines`)
}
