import type { FindingCode } from './finding-meanings.ts'

/** A finding: something wrong in a file that a person wrote, and where. */
export interface Finding {
  readonly severity: 'error' | 'warning'
  /** A snake_case word that stays the same while sentences change. */
  readonly code: FindingCode
  readonly message: string
  readonly file: string
  /** From 1; 0 when the whole file is meant. */
  readonly line: number
  readonly column: number
  /** How to mend it. */
  readonly hint?: string
}

export function formatFinding(finding: Omit<Finding, 'code'> & { readonly code: string }): string {
  const place = finding.line > 0 ? `${finding.file}:${finding.line}:${finding.column}` : finding.file
  return `${place}: ${finding.severity}: ${finding.message} [${finding.code}]`
}
