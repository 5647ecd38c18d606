/** JSON schema: what was found wrong at one place of a document, and how much of the schema held there. */
import type { Evaluation } from './builtin.ts'

export interface Finding {
  type: string
  /** `(Root)`, or the path below it: `a.0.b`. */
  field: string
  description: string
}

/** The path of the whole document. */
export const ROOT = '(Root)'

export class Result {
  readonly findings: Finding[] = []
  score = 0

  constructor(
    readonly path: string,
    readonly evaluation: Evaluation,
  ) {}

  add(type: string, description: string): void {
    const field = this.path === ROOT ? ROOT : this.path.slice(ROOT.length + 1)
    this.findings.push({ type, field, description: description.replace('{field}', field) })
    this.score -= 2
  }

  merge(other: Result): void {
    this.findings.push(...other.findings)
    this.score += other.score
  }

  get valid(): boolean {
    return this.findings.length === 0
  }
}
