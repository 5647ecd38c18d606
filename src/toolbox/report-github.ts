/**
 * Findings and failed tests as workflow commands, which GitHub shows beside the lines they are about.
 */
import type { Finding } from '../contract/findings.ts'
import type { TestReport } from './test-report.ts'

export function githubFindings(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, code, message, hint, ...place }) =>
    annotation(severity, place, code, hint === undefined ? message : `${message}\n${hint}`),
  )
}

export function githubTests({ results, findings, coverage, threshold }: TestReport): string[] {
  const failed = results.filter(({ outcome }) => outcome === 'fail')
  const below = coverage !== undefined && threshold !== undefined && coverage.percent < threshold
  return [
    ...githubFindings(findings),
    ...failed.map(({ name, file, line, message }) =>
      annotation('error', { file, line, column: 1 }, 'test_failed', `${name}\n${message}`),
    ),
    ...(below
      ? [`::error title=coverage::${coverage.percent} % of lines, and ${threshold} % are asked for`]
      : []),
  ]
}

function annotation(
  severity: string,
  { file, line, column }: Pick<Finding, 'file' | 'line' | 'column'>,
  title: string,
  message: string,
): string {
  const place = line > 0 ? `,line=${line},col=${column}` : ''
  return `::${severity} file=${property(file)}${place},title=${property(title)}::${data(message)}`
}

/** As GitHub's own toolkit escapes them. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
