/**
 * Failures in words: what an expression that failed saw, under the names that were written.
 *
 * The compiler takes expressions apart and gives each part a name of its own; here the parts are put
 * together again.
 */
import { callText, dataPath, type Expression, jsonOf, partsOf, type Term, textOf, walk } from './terms.ts'
import type { Failure, Query } from './trace.ts'

export interface Seen {
  readonly values: Readonly<Record<string, unknown>>
  /** What the expression looked for and did not find. */
  readonly undefined: readonly string[]
}

/** What a failure may look up: the documents that the policy had before it. */
export interface Documents {
  readonly input: unknown
  readonly data: unknown
}

/** The parts that the compiler named, by their variable. */
export type Definitions = ReadonlyMap<string, Definition>

interface Definition {
  readonly text: string
  readonly expression: Expression
}

export function definitionsIn(query: Query): Definitions {
  const definitions = new Map<string, Definition>(
    query.parent && query.parent.rule === query.rule ? definitionsIn(query.parent) : [],
  )
  const name = nameIn(query, definitions)
  const bound = new Set<string>()
  for (const expression of query.body) {
    const { operator, operands } = partsOf(expression)
    const [left, right] = operands
    const last = operands.at(-1)
    if (operator === 'eq' && left && right && isPart(left, query, bound)) {
      definitions.set(String(left.value), { text: textOf(right, name), expression })
    } else if (operator !== undefined && operator !== 'eq' && last && isPart(last, query, bound)) {
      const [called] = expression.terms as readonly Term[]
      definitions.set(String(last.value), {
        text: callText(called as Term, operands.slice(0, -1), name),
        expression,
      })
    }
    for (const operand of operands)
      walk(operand, term => term.type === 'var' && bound.add(String(term.value)))
  }
  return definitions
}

/** A variable that nobody wrote and that gets its value here. */
function isPart({ type, value }: Term, query: Query, bound: ReadonlySet<string>): boolean {
  return (
    type === 'var' &&
    String(value).startsWith('__local') &&
    !writtenIn(query, String(value)) &&
    !bound.has(String(value))
  )
}

function writtenIn(query: Query | undefined, variable: string): string | undefined {
  return query && (query.written.get(variable) ?? writtenIn(query.parent, variable))
}

/** How a variable is written: its own name, or what it stands for. */
export function nameIn(query: Query, definitions: Definitions): (variable: string) => string | undefined {
  return variable => {
    const written = writtenIn(query, variable)
    if (written !== undefined) return written
    if (!/^(__local|\$)/.test(variable)) return variable
    return definitions.get(variable)?.text
  }
}

export function seenBy(failure: Failure, documents: Documents): Seen {
  const definitions = definitionsIn(failure.query)
  const look = new Look(failure, definitions, documents)
  for (const operand of partsOf(failure.expression).operands) look.at(operand)
  return { values: look.values, undefined: look.missing }
}

class Look {
  readonly values: Record<string, unknown> = {}
  readonly missing: string[] = []
  private readonly name: (variable: string) => string | undefined

  constructor(
    private readonly failure: Failure,
    private readonly definitions: Definitions,
    private readonly documents: Documents,
  ) {
    this.name = nameIn(failure.query, definitions)
  }

  at(term: Term): void {
    if (term.type === 'var') this.variable(String(term.value))
    else if (term.type === 'ref') this.reference(term)
    else if (typeof term.value === 'object' && !term.type.endsWith('comprehension'))
      walk(term.value, inner => inner.type === 'var' && this.variable(String(inner.value)))
  }

  private variable(variable: string): void {
    const name = this.name(variable)
    const bound = this.failure.locals.get(variable)
    if (name === undefined || name in this.values || name === 'input' || name === 'data') return
    if (bound) this.values[name] = jsonOf(bound)
    const definition = this.definitions.get(variable)
    // The variables of what it stands for, such as `role` in `tables[role]`.
    if (definition)
      for (const operand of partsOf(definition.expression).operands) this.inside(operand, variable)
  }

  private inside(term: Term, except: string): void {
    walk(term, ({ type, value }) => {
      if (type !== 'var' || value === except) return
      if (writtenIn(this.failure.query, String(value)) !== undefined) this.variable(String(value))
    })
  }

  private reference(term: Term): void {
    const parts = term.value as readonly Term[]
    const [head, ...rest] = parts
    // Up to where it goes through every element: the whole is shown.
    const free = rest.findIndex(part => part.type === 'var' && !this.failure.locals.has(String(part.value)))
    const path = free < 0 ? rest : rest.slice(0, free)
    for (const part of path) if (part.type === 'var') this.variable(String(part.value))
    const text = textOf({ type: 'ref', value: [head as Term, ...path] }, this.name)
    const root = this.rootOf(head as Term)
    if (root === undefined) return
    const value = lookUp(
      root.document,
      path.map(part => this.keyOf(part)),
    )
    if (value !== undefined) this.values[text] = value
    else if (root.isWhole || dataPath(term) === undefined) this.missing.push(text)
  }

  /** Base data and input can be looked up; what rules make cannot. */
  private rootOf(head: Term): { document: unknown; isWhole: boolean } | undefined {
    if (head.type !== 'var') return undefined
    if (head.value === 'input') return { document: this.documents.input, isWhole: true }
    if (head.value === 'data') return { document: this.documents.data, isWhole: false }
    const bound = this.failure.locals.get(String(head.value))
    return bound && { document: jsonOf(bound), isWhole: true }
  }

  private keyOf(part: Term): unknown {
    const term = part.type === 'var' ? this.failure.locals.get(String(part.value)) : part
    return term && jsonOf(term)
  }
}

function lookUp(document: unknown, path: readonly unknown[]): unknown {
  let value = document
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, String(key))) return undefined
    value = (value as Record<string, unknown>)[String(key)]
  }
  return value
}
