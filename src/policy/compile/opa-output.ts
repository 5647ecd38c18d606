/**
 * What the `opa` command prints, read: findings, test results, coverage.
 */
import type { FindingCode } from '../../contract/finding-meanings.ts'
import type { Finding } from '../../contract/findings.ts'
import type { OpaOutput } from './opa-command.ts'
import { isTest } from './source.ts'

/** How a file of the sources is named to people. */
export type ShowFile = (name: string) => string

export interface Coverage {
  readonly percent: number
  readonly files: Readonly<
    Record<string, { readonly percent: number; readonly uncovered: readonly number[] }>
  >
}

export interface TestResult {
  readonly name: string
  readonly kind: 'unit' | 'scenario'
  readonly file: string
  readonly line: number
  readonly outcome: 'pass' | 'fail'
  readonly message: string
}

interface OpaError {
  readonly message: string
  readonly code?: string
  readonly location?: { readonly file?: string; readonly row?: number; readonly col?: number }
}

/** OPA tells its findings as JSON, or as lines of text, on either output. */
export function findingsIn({ stdout, stderr }: OpaOutput, show: ShowFile): Finding[] {
  for (const text of [stdout, stderr]) {
    const errors = tryJson<{ errors?: OpaError[] }>(text)?.errors
    if (errors)
      return errors.flatMap(error =>
        error.location ? findingOf(error, show) : findingsInText(error.message, show),
      )
  }
  return findingsInText(`${stdout}\n${stderr}`, show)
}

/** Of a parse error: `bundle x: 2 errors occurred:`, then for each a line with its place, and its excerpt and caret. */
function findingsInText(text: string, show: ShowFile): Finding[] {
  const findings: Finding[] = []
  for (const line of text.split('\n')) {
    const caret = /^\t( *)\^$/.exec(line)
    const last = findings.at(-1)
    if (caret && last) findings[findings.length - 1] = { ...last, column: (caret[1] as string).length + 1 }
    if (line.startsWith('\t') || /^\s*$|errors? occurred:?\s*$/.test(line)) continue
    const placed = PLACED.exec(line)
    if (placed) {
      const [, file = '', row, column, code = 'rego_error', message = ''] = placed
      findings.push({
        severity: 'error',
        code: code as FindingCode,
        message,
        file: show(file),
        line: Number(row),
        column: Number(column ?? 1),
      })
    } else {
      const message = line.replace(/^error: /, '').trim()
      findings.push({ severity: 'error', code: 'rego_error', message, file: show('.'), line: 0, column: 0 })
    }
  }
  return findings
}

const PLACED =
  /^(?:error: |unable to load bundle \S+: |bundle \S+: |load error: |\d+ errors? occurred: )*(?:\.\/)?([^\s:]+\.(?:rego|json|ya?ml)):(\d+):(?:(\d+):)? ?(?:(rego_\w+): )?(.*)$/

function findingOf({ message, code, location }: OpaError, show: ShowFile): Finding {
  return {
    severity: 'error',
    // OPA's own begin with rego_, or are listed.
    code: (code ?? 'rego_error') as FindingCode,
    message,
    file: show(location?.file ?? '.'),
    line: location?.row ?? 0,
    column: location?.col ?? 0,
  }
}

interface OpaTestResult {
  readonly location: { readonly file: string; readonly row: number }
  readonly package: string
  readonly name: string
  readonly fail?: boolean
  readonly skip?: boolean
  readonly error?: { readonly message?: string }
}

/** @returns Undefined when the tests could not be run. OPA ends with 2 when one fails. */
export function resultsIn({ status, stdout }: OpaOutput, show: ShowFile): TestResult[] | undefined {
  if (status !== 0 && status !== 2) return undefined
  if (stdout.trim() === '' || stdout.trim() === 'null') return []
  return tryJson<OpaTestResult[]>(stdout)
    ?.filter(result => !result.skip)
    .map(result => ({
      name: `${result.package}.${result.name}`,
      kind: 'unit',
      file: show(result.location.file),
      line: result.location.row,
      outcome: result.fail || result.error ? 'fail' : 'pass',
      message: result.error?.message ?? (result.fail ? 'the rule is not true' : ''),
    }))
}

interface Rows {
  readonly start: { readonly row: number }
  readonly end: { readonly row: number }
}

interface OpaCoverage {
  readonly files?: Readonly<Record<string, { readonly covered?: Rows[]; readonly not_covered?: Rows[] }>>
}

/** Of the lines of the policy; those of its tests are not what is to be covered. OPA has none when a test fails. */
export function coverageIn({ stdout }: OpaOutput, show: ShowFile): Coverage {
  const report = tryJson<OpaCoverage>(stdout) ?? {}
  const files: Record<string, { percent: number; uncovered: readonly number[] }> = {}
  let reached = 0
  let missed = 0
  for (const [name, { covered = [], not_covered = [] }] of Object.entries(report.files ?? {})) {
    if (isTest(name)) continue
    const uncovered = linesOf(not_covered)
    const lines = linesOf(covered).length
    files[show(name)] = { percent: percentOf(lines, uncovered.length), uncovered }
    reached += lines
    missed += uncovered.length
  }
  return { percent: percentOf(reached, missed), files }
}

/** Cut, not rounded: nearly all is not all. Where nothing ran, nothing is covered. */
function percentOf(reached: number, missed: number): number {
  return reached === 0 ? 0 : Math.floor((reached / (reached + missed)) * 10_000) / 100
}

function linesOf(rows: readonly Rows[]): number[] {
  return rows.flatMap(({ start, end }) =>
    Array.from({ length: end.row - start.row + 1 }, (_, index) => start.row + index),
  )
}

function tryJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}
