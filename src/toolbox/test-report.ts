/**
 * What `test` found out, and how it is told.
 */
import { styleText } from 'node:util'
import type { Finding } from '../contract/findings.ts'
import type { Coverage, TestResult } from '../policy/compile/opa-output.ts'
import { showFinding } from './excerpt.ts'
import { print, printJson, type ReportFormat } from './output.ts'
import { githubTests } from './report-github.ts'
import { junit } from './report-junit.ts'

export interface TestReport {
  readonly results: readonly TestResult[]
  readonly findings: readonly Finding[]
  /** Only when asked for. */
  readonly coverage: Coverage | undefined
  readonly threshold: number | undefined
}

export function hasFailed({ results, findings, coverage, threshold }: TestReport): boolean {
  const below = threshold !== undefined && (coverage?.percent ?? 0) < threshold
  const failed = results.some(({ outcome }) => outcome === 'fail')
  return failed || below || findings.some(({ severity }) => severity === 'error')
}

export function printTests(report: TestReport, format: ReportFormat): void {
  if (format === 'json') printJson(jsonOf(report))
  else if (format === 'junit') print(junit(report))
  else {
    if (format === 'github') for (const line of githubTests(report)) print(line)
    else printFailures(report)
    printSummary(report)
  }
}

function jsonOf({ results, findings, coverage }: TestReport): object {
  return {
    results,
    coverage: coverage?.percent ?? null,
    ...(coverage ? { files: coverage.files } : {}),
    ...(findings.length > 0 ? { findings } : {}),
  }
}

function printFailures({ results, findings }: TestReport): void {
  for (const finding of findings) print(showFinding(finding))
  for (const { file, line, name, message } of results.filter(({ outcome }) => outcome === 'fail')) {
    print(`${file}:${line}: ${coloured('red', 'FAIL')} ${name}`)
    for (const told of message.split('\n')) print(`    ${told}`)
  }
}

function printSummary({ results, findings, coverage, threshold }: TestReport): void {
  const units = results.filter(({ kind }) => kind === 'unit').length
  const failed = results.filter(({ outcome }) => outcome === 'fail').length
  const counted = `${results.length - failed} passed, ${failed} failed`
  const bad = failed > 0 || findings.length > 0
  print(
    `${coloured(bad ? 'red' : 'green', counted)} (${units} unit tests, ${results.length - units} scenarios)`,
  )
  if (!coverage) return
  for (const [file, { percent, uncovered }] of Object.entries(coverage.files)) {
    if (uncovered.length > 0) print(`${file}: ${shown(percent)} %, not covered: ${ranges(uncovered)}`)
  }
  print(`coverage: ${shown(coverage.percent)} % of lines`)
  if (threshold !== undefined && coverage.percent < threshold) print(`coverage is below ${threshold} %`)
}

/** Cut, not rounded: 99.97 is not 100.0. */
function shown(percent: number): string {
  return (Math.floor(percent * 10) / 10).toFixed(1)
}

/** 3, 4, 5, 9 as 3-5, 9. */
export function ranges(lines: readonly number[]): string {
  const found: [number, number][] = []
  for (const line of lines) {
    const last = found.at(-1)
    if (last && line === last[1] + 1) last[1] = line
    else found.push([line, line])
  }
  return found.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(', ')
}

function coloured(colour: 'red' | 'green', text: string): string {
  return process.stdout.isTTY ? styleText(colour, text) : text
}
