/**
 * Needed: what would have to be different for a refusal to be none.
 *
 * From the rules of the entrypoint that failed, down through the rules that they lack, or that they would
 * have to be without, to the conditions that somebody could change.
 */
import { type Definitions, definitionsIn } from './failure.ts'
import { dataPath, type Expression, jsonOf, partsOf, type Term, walk } from './terms.ts'
import { type Failure, type Query, stuckAt, type Try } from './trace.ts'

export interface Need {
  readonly rule: Try
  /** A condition that would have to hold; without one the rule would have to fail. */
  readonly failure: Failure | undefined
}

const DEEPEST = 12
const MOST = 10

/** @returns The nearest first: what is needed by the rule that got the furthest. */
export function neededFor(tries: readonly Try[], entrypoint: string): readonly Need[] {
  const search = new Search(tries)
  const own = search.named(entrypoint)
  // A decision such as `{"allow": allow}` holds and refuses: what it is made of is lacking.
  for (const rule of own.filter(rule => rule.held && !rule.isDefault)) search.allow(rule)
  const failed = own.filter(rule => !rule.held && allowIn(rule)?.value !== false)
  for (const rule of failed.sort((a, b) => progressOf(b) - progressOf(a))) search.satisfy(rule, 0)
  return search.found.slice(0, MOST)
}

/** Each step tells whether it found what to blame, now or before: then nobody above is to blame. */
class Search {
  readonly found: Need[] = []
  private readonly byName = new Map<string, Try[]>()
  private readonly seen = new Set<string>()

  constructor(tries: readonly Try[]) {
    for (const rule of tries) this.byName.set(rule.name, [...(this.byName.get(rule.name) ?? []), rule])
  }

  /** The rules of a name, or of the longest part of it that is one: `data.a.b.field` is made by `data.a.b`. */
  named(name: string): readonly Try[] {
    for (let at = name; at.includes('.'); at = at.slice(0, at.lastIndexOf('.'))) {
      const rules = this.byName.get(at)
      if (rules) return rules
    }
    return []
  }

  /** What keeps the answer of a rule from saying so. */
  allow(rule: Try): void {
    const [query] = rule.queries
    const allow = allowIn(rule)
    if (!query || !allow) return
    for (const { name } of referredIn(allow, query.locals, definitionsIn(query))) this.lack(name, 0)
  }

  /** What keeps a rule from holding. */
  satisfy(rule: Try, depth: number): boolean {
    const failure = stuckAt(rule, query => query === rule.queries[0])
    if (failure) this.mend(failure, rule, depth)
    return failure !== undefined
  }

  /** What keeps a rule that holds from having anything in it. */
  fill(rule: Try, depth: number): boolean {
    const stuck = rule.queries
      .filter(query => !query.isNot && query !== rule.queries[0])
      .map(query => stuckAt(rule, one => one === query))
      .filter(failure => failure !== undefined)
    for (const failure of stuck) this.mend(failure, rule, depth)
    if (stuck.length > 0) return true
    const lacking = dependenciesOf(rule).filter(({ value }) => isNothing(value))
    return some(lacking, ({ name }) => this.lack(name, depth + 1))
  }

  private mend(failure: Failure, rule: Try, depth: number): void {
    const { expression } = failure
    const isTooMuch = wantsNothing(expression)
    const looked = referred(expression, failure.locals, definitionsIn(failure.query))
    const isTold = some(looked, ({ name, value }) => {
      if (isTooMuch) return this.without(name, depth + 1)
      return isNothing(value) && this.lack(name, depth + 1)
    })
    if (!isTold) this.add({ rule, failure })
  }

  private lack(name: string, depth: number): boolean {
    const rules = this.named(name)
    const step = this.enter(`+${name}`, depth)
    // Base data is what it is.
    if (rules.length === 0 || step !== 'new') return rules.length > 0 && step === 'known'
    return some(rules, rule => (rule.held ? this.fill(rule, depth) : this.satisfy(rule, depth)))
  }

  /** What would have to be so that a rule which holds did not. */
  private without(name: string, depth: number): boolean {
    const holding = this.named(name).filter(rule => rule.held && !rule.isDefault)
    const step = this.enter(`-${name}`, depth)
    if (holding.length === 0 || step !== 'new') return holding.length > 0 && step === 'known'
    return some(holding, rule => {
      if (some(deniedIn(rule), denied => this.lack(denied, depth + 1))) return true
      const filled = dependenciesOf(rule).filter(({ value }) => !isNothing(value))
      if (!some(filled, ({ name }) => this.without(name, depth + 1))) this.add({ rule, failure: undefined })
      return true
    })
  }

  private enter(step: string, depth: number): 'new' | 'known' | 'too deep' {
    if (this.seen.has(step)) return 'known'
    if (depth > DEEPEST) return 'too deep'
    this.seen.add(step)
    return 'new'
  }

  private add(need: Need): void {
    const { rule, failure } = need
    const isSame = (other: Need): boolean =>
      other.rule.file === rule.file &&
      other.rule.line === rule.line &&
      other.failure?.line === failure?.line &&
      other.failure?.column === failure?.column
    if (!this.found.some(isSame)) this.found.push(need)
  }
}

/** Unlike `Array.some`, does the work for each. */
function some<T>(items: readonly T[], work: (item: T) => boolean): boolean {
  return items.map(work).includes(true)
}

/** `not x`, `count(x) == 0`, `x == false`: there was too much of something. */
function wantsNothing(expression: Expression): boolean {
  if (expression.negated) return true
  const { operator, operands } = partsOf(expression)
  return (operator === 'eq' || operator === 'equal') && operands.some(isConstantNothing)
}

function isConstantNothing(operand: Term): boolean {
  return operand.type !== 'var' && operand.type !== 'ref' && isNothing(operand)
}

/** What a rule of decisions says of `allow`, as far as it is written there. */
function allowIn({ value, queries }: Try): Term | undefined {
  const [query] = queries
  const written = value?.type === 'var' ? query && madeOf(String(value.value), query) : value
  if (written?.type !== 'object') return undefined
  const pairs = written.value as readonly (readonly [Term, Term])[]
  return pairs.find(([key]) => key.value === 'allow')?.[1]
}

/** What a variable is made equal to. */
function madeOf(variable: string, { body }: Query): Term | undefined {
  for (const expression of body) {
    const { operator, operands } = partsOf(expression)
    const [left, right] = operands
    if (operator === 'eq' && left?.type === 'var' && left.value === variable) return right
  }
  return undefined
}

function progressOf(rule: Try): number {
  const [query] = rule.queries
  const failure = stuckAt(rule, one => one === query)
  return query && failure ? failure.expression.index / query.body.length : 0
}

interface Dependency {
  readonly name: string
  readonly value: Term | undefined
}

/** The rules that an expression looks at, with what it saw of them. */
function referred(
  expression: Expression,
  locals: ReadonlyMap<string, Term>,
  definitions: Definitions,
  within = 0,
): Dependency[] {
  return referredIn(expression.terms, locals, definitions, within)
}

function referredIn(
  terms: unknown,
  locals: ReadonlyMap<string, Term>,
  definitions: Definitions,
  within = 0,
): Dependency[] {
  const found: Dependency[] = []
  walk(terms, term => {
    const name = dataPath(term)
    if (name !== undefined) found.push({ name, value: undefined })
    const definition = term.type === 'var' ? definitions.get(String(term.value)) : undefined
    if (!definition || definition.expression.terms === terms || within > DEEPEST) return
    const value = locals.get(String(term.value))
    const inner = referred(definition.expression, locals, definitions, within + 1)
    found.push(...inner.map(one => ({ name: one.name, value: one.value ?? value })))
  })
  return found
}

/** The rules that a rule which holds looks at, but for those that it denies. */
function dependenciesOf(rule: Try): Dependency[] {
  return bodiesOf(rule).flatMap(query =>
    query.body
      .filter(expression => !expression.negated)
      .flatMap(expression => {
        const { operator, operands } = partsOf(expression)
        const [left, right] = operands
        // What a name was given tells what the rule behind it had to say.
        if (operator === 'eq' && left?.type === 'var' && right?.type === 'ref') {
          const name = dataPath(right)
          return name === undefined ? [] : [{ name, value: query.locals.get(String(left.value)) }]
        }
        return referred(expression, query.locals, new Map())
      }),
  )
}

function deniedIn(rule: Try): string[] {
  return bodiesOf(rule).flatMap(query =>
    query.body
      .filter(expression => expression.negated)
      .flatMap(expression =>
        referred(expression, query.locals, definitionsIn(query)).map(({ name }) => name),
      ),
  )
}

function bodiesOf(rule: Try): readonly Query[] {
  return rule.queries.filter(query => !query.isNot)
}

/** Undefined, false, zero and what is empty: too little rather than too much. */
function isNothing(term: Term | undefined): boolean {
  if (!term) return true
  const value = jsonOf(term)
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === false || value === 0 || value === null
}
