/**
 * What commands print, and how they end.
 */
import type { Finding } from '../contract/findings.ts'
import { showFinding } from './excerpt.ts'
import { githubFindings } from './report-github.ts'
import { junitFindings } from './report-junit.ts'

/** Exit statuses: what a script can rely on. */
export const EXIT = { good: 0, findings: 1, usage: 2, failure: 3 } as const

export type Format = 'pretty' | 'json'
/** For what a CI reads. */
export type ReportFormat = Format | 'github' | 'junit'

/** Ends a command with a status; what was to be said has been printed. */
export class CommandExit extends Error {
  override readonly name = 'CommandExit'
  constructor(readonly status: number) {
    super(`exit ${status}`)
  }
}

/** Ends a command with one sentence on stderr. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

/** Whoever reads may leave before the end, as `head` does: then there is nobody left to tell. */
export function endWithReader(): void {
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(EXIT.good)
    throw error
  })
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

export function printFindings(findings: readonly Finding[], format: ReportFormat): void {
  if (format === 'json') printJson({ findings })
  else if (format === 'github') for (const line of githubFindings(findings)) print(line)
  else if (format === 'junit') print(junitFindings(findings))
  else {
    for (const finding of findings) print(showFinding(finding))
    const [first] = findings
    if (first) print(`What a code means: sallyport explain ${first.code}`)
  }
}

/** A list as aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length))) ?? []
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
