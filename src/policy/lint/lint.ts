/**
 * Lint: what hurts at a gate, and neither the parser nor the type checker can know.
 *
 * Each lint looks at one module, knows the others, and answers warnings. They are few and sure: one that is
 * wrong teaches people to look away.
 */

import path from 'node:path'
import type { FindingCode } from '../../contract/finding-meanings.ts'
import type { Finding } from '../../contract/findings.ts'
import { branchesOf, type Location, type Module, nameOf, type Rule } from '../compile/syntax.ts'
import { notTotal, unnamedAllow } from './decision.ts'
import { patternFromInput, runawayReplace } from './patterns.ts'
import { silentDeny } from './silent-deny.ts'
import { unboundedBody } from './unbounded-body.ts'

export interface LintFinding {
  readonly code: FindingCode
  readonly message: string
  readonly location: Pick<Location, 'row' | 'col'>
  readonly hint: string
}

export interface Subject {
  readonly module: Module
  readonly modules: readonly Module[]
  /** The entrypoint, such as `gateway/decision`. */
  readonly entrypoint: string
  /** All rules, and their branches, of one name in the package of the module. */
  siblings(name: string): { readonly rule: Rule; readonly module: Module }[]
}

export type Lint = (subject: Subject) => readonly LintFinding[]

const LINTS: readonly Lint[] = [
  silentDeny,
  notTotal,
  unnamedAllow,
  unboundedBody,
  patternFromInput,
  runawayReplace,
]

/** @param modules - Those that decide, without tests. @param shown - What stands before the names of files. */
export function lint(modules: readonly Module[], entrypoint: string, shown: string): Finding[] {
  return modules.flatMap(module => {
    const siblings = (name: string): { rule: Rule; module: Module }[] =>
      rulesNamed(name, module.package, modules)
    const subject = { module, modules, entrypoint, siblings }
    return LINTS.flatMap(lint => lint(subject))
      .map(
        ({ code, message, location, hint }): Finding => ({
          severity: 'warning',
          code,
          message,
          file: path.join(shown, module.file),
          line: location.row,
          column: location.col,
          hint,
        }),
      )
      .sort((a, b) => a.line - b.line || a.column - b.column)
  })
}

/** @param of - A package. */
export function rulesNamed(
  name: string,
  of: readonly string[],
  modules: readonly Module[],
): { rule: Rule; module: Module }[] {
  return modules
    .filter(module => module.package.join('.') === of.join('.'))
    .flatMap(module =>
      module.rules
        .filter(({ head }) => nameOf(head) === name)
        .flatMap(branchesOf)
        .map(rule => ({ rule, module })),
    )
}
