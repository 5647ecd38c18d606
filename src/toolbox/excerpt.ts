/**
 * A finding as people read it: where, what, the line with a caret under the place, and how to mend it.
 */
import { readFileSync } from 'node:fs'
import { type Finding, formatFinding } from '../contract/findings.ts'

/** Only of these: a line of a config may hold a secret. */
const QUOTABLE = /\.(rego|scenario\.yaml)$/

export function showFinding(finding: Finding): string {
  const lines = [formatFinding(finding), ...excerptOf(finding)]
  if (finding.hint !== undefined) lines.push(`  hint: ${finding.hint}`)
  return lines.join('\n')
}

function excerptOf({ file, line, column }: Finding): string[] {
  if (line < 1 || !QUOTABLE.test(file)) return []
  const text = linesOf(file)[line - 1]
  if (text === undefined) return []
  const number = String(line)
  const before = Array.from(text)
    .slice(0, Math.max(column - 1, 0))
    .join('')
  // Tabs are kept, so that the caret stands where the terminal shows the place.
  const indent = before.replace(/[^\t]/g, ' ')
  return [`  ${number} | ${text}`, `  ${' '.repeat(number.length)} | ${indent}^`]
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}
