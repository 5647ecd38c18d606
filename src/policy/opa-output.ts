/**
 * What the `opa` command prints, read: findings, test results, coverage.
 */
import type { Finding } from '../contract/findings.ts'
import type { OpaOutput } from './opa-command.ts'

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
        code,
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
  /^(?:error: |bundle \S+: |load error: |\d+ errors? occurred: )*(?:\.\/)?([^\s:]+\.(?:rego|json|ya?ml)):(\d+):(?:(\d+):)? ?(?:(rego_\w+): )?(.*)$/

function findingOf({ message, code, location }: OpaError, show: ShowFile): Finding {
  return {
    severity: 'error',
    code: code ?? 'rego_error',
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

export function resultsIn({ stdout }: OpaOutput, show: ShowFile): TestResult[] | undefined {
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

interface OpaCoverage {
  readonly coverage?: number
  readonly files?: Record<
    string,
    { coverage?: number; not_covered?: { start: { row: number }; end: { row: number } }[] }
  >
}

export function coverageIn({ stdout }: OpaOutput, show: ShowFile): Coverage {
  const report = tryJson<OpaCoverage>(stdout) ?? {}
  const files = Object.entries(report.files ?? {}).map(([name, { coverage, not_covered = [] }]) => {
    const uncovered = not_covered.flatMap(({ start, end }) =>
      Array.from({ length: end.row - start.row + 1 }, (_, index) => start.row + index),
    )
    return [show(name), { percent: coverage ?? 0, uncovered }]
  })
  return { percent: report.coverage ?? 0, files: Object.fromEntries(files) }
}

function tryJson<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}
