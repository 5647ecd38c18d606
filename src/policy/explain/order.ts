/**
 * The order in which rules are told: each is followed by those that it looks at. OPA tries the rules of one
 * name in an order that changes from run to run.
 */
import { dataPath, walk } from './terms.ts'
import type { Try } from './trace.ts'

export function inOrder(tries: readonly Try[], entrypoint: string): readonly Try[] {
  const byName = new Map<string, Try[]>()
  for (const rule of tries) byName.set(rule.name, [...(byName.get(rule.name) ?? []), rule])
  for (const same of byName.values()) same.sort((a, b) => compare(a.file, b.file) || a.line - b.line)
  const ordered = new Set<Try>()
  const visited = new Set<string>()

  function visit(name: string): void {
    if (visited.has(name)) return
    visited.add(name)
    for (const rule of byName.get(name) ?? []) {
      ordered.add(rule)
      walk(rule.queries[0]?.body, term => {
        for (const known of prefixesOf(dataPath(term))) if (byName.has(known)) visit(known)
      })
    }
  }

  visit(entrypoint)
  for (const name of [...byName.keys()].sort()) visit(name)
  return [...ordered]
}

/** `data.a.b.field` is made by `data.a.b`. */
function prefixesOf(path: string | undefined): string[] {
  const parts = path?.split('.') ?? []
  return parts.slice(2).map((_, index) => parts.slice(0, index + 3).join('.'))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
