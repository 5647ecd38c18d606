/**
 * Sources: the expression that a person wrote, by a place in a file. What OPA traces is what its compiler
 * made of it.
 */
import { branchesOf, type Expression, type Location, type Module } from '../compile/syntax.ts'

export interface Sources {
  packageOf(file: string): string
  /** The expression around a place; the line, where it is in none. */
  expressionAt(file: string, line: number, column: number): string
  /** The conditions of the rule that begins at a line. */
  conditionsAt(file: string, line: number): readonly string[]
}

/** @param textOf - The text of a file. */
export function createSources(modules: readonly Module[], textOf: (file: string) => string): Sources {
  const byFile = new Map(modules.map(module => [module.file, module]))
  const expressions = new Map<string, Location[]>()

  function locationsIn(file: string): Location[] {
    const known = expressions.get(file)
    if (known) return known
    const found: Location[] = []
    collect(byFile.get(file)?.rules, found)
    expressions.set(file, found)
    return found
  }

  return {
    packageOf: file => ['data', ...(byFile.get(file)?.package ?? [])].join('.'),
    expressionAt(file, line, column) {
      let closest: Location | undefined
      for (const location of locationsIn(file)) {
        if (holds(location, line, column) && (!closest || location.text.length < closest.text.length))
          closest = location
      }
      return onOneLine(closest?.text ?? textOf(file).split('\n')[line - 1] ?? '')
    },
    conditionsAt(file, line) {
      const rules = byFile.get(file)?.rules.flatMap(branchesOf) ?? []
      const rule = rules.find(({ location }) => location.row === line)
      return rule?.body.map(({ location }) => onOneLine(location.text)) ?? []
    },
  }
}

function onOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

function collect(node: unknown, found: Location[]): void {
  if (Array.isArray(node)) for (const part of node) collect(part, found)
  else if (typeof node === 'object' && node !== null) {
    if ('terms' in node && 'location' in node) found.push((node as Expression).location)
    for (const part of Object.values(node)) collect(part, found)
  }
}

function holds({ row, col, text }: Location, line: number, column: number): boolean {
  const lines = text.split('\n')
  const last = row + lines.length - 1
  const end = (lines.length === 1 ? col : 1) + Buffer.byteLength(lines.at(-1) ?? '')
  if (line < row || (line === row && column < col)) return false
  return line < last || (line === last && column < end)
}
