/**
 * Trace: OPA's own account of one decision (`opa eval --explain=full`), event by event → the rules that
 * were tried, which of them held, and where the others failed.
 */
import type { Expression, Term } from './terms.ts'

export interface TraceEvent {
  readonly Op: string
  readonly Node: unknown
  readonly Location: { readonly file: string; readonly row: number; readonly col: number }
  readonly QueryID: number
  readonly ParentID: number
  readonly Locals: readonly Local[] | null
  readonly LocalMetadata?: Readonly<Record<string, { readonly name: string }>> | null
}

interface Local extends Term {
  readonly name: string
}

/** A rule, a comprehension, the inside of a `not`: a body that was evaluated. */
export interface Query {
  readonly id: number
  readonly parent: Query | undefined
  readonly body: readonly Expression[]
  /** The rule whose body it is, or a part of whose body it is. */
  readonly rule: Try | undefined
  readonly isNot: boolean
  /** What its variables held last. */
  readonly locals: Map<string, Term>
  /** The names of variables as they were written. */
  readonly written: Map<string, string>
}

/** One evaluation of a rule. */
export interface Try {
  /** As in `data.gateway.decision`. */
  readonly name: string
  readonly file: string
  readonly line: number
  readonly title: string | undefined
  /** The value in its head, as far as it is written there. */
  readonly value: Term | undefined
  readonly isDefault: boolean
  readonly failures: Failure[]
  readonly queries: Query[]
  held: boolean
}

/** An expression that was not true, or had no value. */
export interface Failure {
  readonly expression: Expression
  readonly query: Query
  readonly file: string
  readonly line: number
  readonly column: number
  /** What the variables held. */
  readonly locals: ReadonlyMap<string, Term>
}

interface RuleNode {
  readonly default?: boolean
  readonly annotations?: readonly { readonly scope?: string; readonly title?: string }[]
  readonly head: { readonly name?: string; readonly ref?: readonly Term[]; readonly value?: Term }
  readonly body: readonly Expression[]
  readonly location?: unknown
}

/** @param packageOf - The package of a file, such as `data.gateway`. */
export function triesIn(events: readonly TraceEvent[], packageOf: (file: string) => string): readonly Try[] {
  const queries = new Map<number, Query>()
  const tries: Try[] = []
  for (const event of events) {
    if (event.Op === 'Enter' && !queries.has(event.QueryID)) {
      const entered = enter(event, queries.get(event.ParentID), packageOf)
      queries.set(event.QueryID, entered)
      if (entered.rule && entered.rule !== entered.parent?.rule) tries.push(entered.rule)
      entered.rule?.queries.push(entered)
    }
    const query = queries.get(event.QueryID)
    if (query) note(event, query)
  }
  return tries
}

function enter(event: TraceEvent, parent: Query | undefined, packageOf: (file: string) => string): Query {
  const { Node: node, QueryID: id } = event
  const shared = { id, parent, locals: new Map<string, Term>(), written: new Map<string, string>() }
  if (isRule(node)) return { ...shared, body: node.body, rule: tryOf(node, event, packageOf), isNot: false }
  const body = (Array.isArray(node) ? node : [node]) as readonly Expression[]
  return { ...shared, body, rule: parent?.rule, isNot: !Array.isArray(node) && !isEvery(node) }
}

function tryOf(node: RuleNode, { Location }: TraceEvent, packageOf: (file: string) => string): Try {
  const words: string[] = []
  for (const part of node.head.ref ?? []) {
    if (words.length > 0 && part.type !== 'string') break
    words.push(String(part.value))
  }
  if (words.length === 0) words.push(node.head.name ?? '')
  return {
    name: [packageOf(Location.file), ...words].join('.'),
    file: Location.file,
    line: Location.row,
    title: node.annotations?.find(({ scope, title }) => title !== undefined && scope !== 'package')?.title,
    value: node.head.value,
    isDefault: node.default === true,
    failures: [],
    queries: [],
    held: false,
  }
}

function note(event: TraceEvent, query: Query): void {
  for (const { name, type, value } of event.Locals ?? []) query.locals.set(name, { type, value })
  for (const [name, { name: written }] of Object.entries(event.LocalMetadata ?? {}))
    if (!/^(__local|\$)/.test(written)) query.written.set(name, written)
  const { rule } = query
  if (!rule) return
  if (event.Op === 'Exit' && isRule(event.Node)) rule.held = true
  if (event.Op === 'Fail' && !isRule(event.Node) && !Array.isArray(event.Node)) {
    const { file, row, col } = event.Location
    rule.failures.push({
      expression: event.Node as Expression,
      query,
      file,
      line: row,
      column: col,
      locals: new Map((event.Locals ?? []).map(({ name, type, value }) => [name, { type, value }])),
    })
  }
}

function isRule(node: unknown): node is RuleNode {
  return typeof node === 'object' && node !== null && 'head' in node
}

function isEvery(node: unknown): boolean {
  const { terms } = (node ?? {}) as Partial<Expression>
  return typeof terms === 'object' && terms !== null && 'domain' in terms
}

/**
 * Where a rule got stuck: the expression furthest down that failed, the first time it did. Those before it
 * held, so it is what stood between the rule and its outcome. Of `every`, what failed inside.
 */
export function stuckAt({ failures }: Try, inside: (query: Query) => boolean): Failure | undefined {
  let furthest: Failure | undefined
  for (const failure of failures) {
    if (!inside(failure.query)) continue
    if (!furthest || failure.expression.index > furthest.expression.index) furthest = failure
  }
  if (!furthest || !isEvery(furthest.expression)) return furthest
  const { query } = furthest
  const before = failures.slice(0, failures.indexOf(furthest))
  return before.findLast(one => !isEvery(one.expression) && isWithin(one.query, query)) ?? furthest
}

function isWithin(query: Query | undefined, outer: Query): boolean {
  return query !== undefined && (query.parent === outer || isWithin(query.parent, outer))
}
