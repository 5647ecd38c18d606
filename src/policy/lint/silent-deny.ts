/**
 * A refusal that falls silent: a rule that refuses, and reads what a request need not have. Without it the
 * rule is undefined, nothing refuses, and a caller gets by with leaving it out.
 */
import {
  branchesOf,
  type Expression,
  isCall,
  isEvery,
  isSome,
  isTerm,
  nameOf,
  operatorOf,
  type Rule,
  type Term,
} from '../compile/syntax.ts'
import type { Lint, LintFinding, Subject } from './lint.ts'
import {
  expressionsIn,
  type InputPath,
  iterationsOf,
  type Names,
  namesIn,
  readsIn,
  showPath,
} from './reading.ts'

const DENY =
  /^_*(deny|denied|denies|refuse[sd]?|refusals?|violations?|block(s|ed)?|forbid(s|den)?|reject(s|ed|ions?)?|prohibit(s|ed)?|ban(s|ned)?)(_|$)/

export const silentDeny: Lint = (subject: Subject): LintFinding[] =>
  subject.module.rules.flatMap(rule =>
    branchesOf(rule)
      .filter(branch => !branch.default && refuses(branch))
      .flatMap(branch => findingsIn(branch, subject)),
  )

function refuses({ head }: Rule): boolean {
  const name = nameOf(head).split('.').at(-1) ?? ''
  const { value } = head
  if (DENY.test(name)) return !isFalse(value)
  return (name === 'allow' && isFalse(value)) || isRefusal(value)
}

function isFalse(term: Term | undefined): boolean {
  return term?.type === 'boolean' && term.value === false
}

/** `{"allow": false, …}` */
function isRefusal(term: Term | undefined): boolean {
  if (term?.type !== 'object') return false
  return (term.value as [Term, Term][]).some(([key, value]) => key.value === 'allow' && isFalse(value))
}

function findingsIn(rule: Rule, { module, siblings }: Subject): LintFinding[] {
  const names = namesIn(rule, module)
  const name = nameOf(rule.head)
  const others = siblings(name).flatMap(({ rule: other, module }) =>
    expressionsIn(other)
      .filter(expression => expression.negated || saysNull(expression))
      .flatMap(expression => pathsIn(expression, namesIn(other, module))),
  )
  // To go through what is not there is to find nothing, whatever else is read of it.
  const searched = rule.body
    .filter(({ terms }) => isSome(terms))
    .flatMap(iterationsOf)
    .map(({ domain }) => names.pathOf(domain))
  const told = new Set<string>()
  return [...fragileReads(rule, names)].flatMap(({ term, path, kind }) => {
    const shown = showPath(path)
    const isMeant = isGuarded(path, kind, rule, names) || searched.some(of => same(of, path))
    if (told.has(shown) || isMeant || others.some(other => covers(other, path))) return []
    told.add(shown)
    return [findingOf(name, shown, kind, path, term)]
  })
}

type Kind = 'absent' | 'null'

function findingOf(
  name: string,
  shown: string,
  kind: Kind,
  path: InputPath,
  { location }: Term,
): LintFinding {
  const last = JSON.stringify(path.at(-1))
  const parent = showPath(path.slice(0, -1))
  const what =
    kind === 'absent'
      ? `${shown} may be missing: then ${name} is undefined, and does not refuse`
      : `${shown} may be null: then this is never so, and ${name} does not refuse`
  const hint =
    kind === 'absent'
      ? `read it as object.get(${parent}, ${last}, …), or refuse in another ${name} rule if \`not ${shown}\``
      : `say what is to happen then, in another ${name} rule with \`${shown} == null\``
  return { code: 'silent_deny', message: what, location, hint }
}

/** In the parts of a rule where a value that is not there makes the whole rule undefined. */
function* fragileReads(
  { body, head }: Pick<Rule, 'body' | 'head'>,
  names: Names,
): Generator<{ term: Term; path: InputPath; kind: Kind }> {
  for (const expression of body) {
    if (expression.negated || expression.with) continue
    const { terms } = expression
    if (isEvery(terms)) {
      yield* absentIn(terms.domain, names)
      yield* fragileReads({ body: terms.body, head: { ref: [], location: head.location } }, names)
      continue
    }
    // To look for one of none is to find none: that is what was asked.
    if (iterationsOf(expression).length > 0) continue
    yield* absentIn(terms, names)
    yield* neverGreater(expression, names)
  }
  yield* absentIn([head.key, head.value], names)
}

function* absentIn(node: unknown, names: Names): Generator<{ term: Term; path: InputPath; kind: Kind }> {
  if (Array.isArray(node)) for (const member of node) yield* absentIn(member, names)
  else if (typeof node === 'object' && node !== null) {
    // An empty collection is a value.
    if (isTerm(node) && node.type.endsWith('comprehension')) return
    if (isTerm(node) && node.type === 'ref') {
      const path = names.pathOf(node)
      if (path && isOptional(path)) yield { term: node, path, kind: 'absent' }
      return
    }
    for (const [key, member] of Object.entries(node)) if (key !== 'location') yield* absentIn(member, names)
  }
}

/** `null > 5` is false, and so is `5 < null`: in Rego's order null comes before all numbers and strings. */
function* neverGreater(
  { terms }: Expression,
  names: Names,
): Generator<{ term: Term; path: InputPath; kind: Kind }> {
  if (!isCall(terms)) return
  const [, left, right] = terms
  const operator = operatorOf(terms)
  const greater = ['gt', 'gte'].includes(operator)
    ? left
    : ['lt', 'lte'].includes(operator)
      ? right
      : undefined
  const path = greater && names.pathOf(greater)
  if (greater && path && isNullable(path)) yield { term: greater, path, kind: 'null' }
}

const NULLABLE = new Set([
  'request.model',
  'request.max_output_tokens',
  'principal.team',
  'principal.key_id',
  'principal.expires_at',
])

function isNullable(path: InputPath): boolean {
  return NULLABLE.has(path.join('.'))
}

/** A constant place in a part of the input whose keys the caller, or the config, chooses. */
function isOptional(path: InputPath): boolean {
  if (path.some(step => step === undefined)) return false
  const [first, second] = path
  if (first === 'request' && (second === 'headers' || second === 'query' || second === 'body'))
    return path.length > 2
  if (first === 'principal' && second === 'claims') return path.length > 2
  return first === 'pools' && path.length > 1
}

/** Whether the rule itself says that it is about requests which have it. */
function isGuarded(path: InputPath, kind: Kind, { body }: Rule, names: Names): boolean {
  return body.some(expression => {
    const { terms } = expression
    if (expression.negated) return false
    if (!isCall(terms)) return isTerm(terms) && covers(names.pathOf(terms) ?? [], path)
    const operator = operatorOf(terms)
    const [, left, right] = terms
    if (operator.startsWith('is_') && operator !== 'is_null')
      return left !== undefined && same(names.pathOf(left), path)
    if (operator === 'internal.member_2')
      return left?.value === path.at(-1) && pathsIn(right, names).some(of => same(of, path.slice(0, -1)))
    const isNull = [left, right].some(term => term?.type === 'null')
    return (
      kind === 'null' &&
      operator === 'neq' &&
      isNull &&
      [left, right].some(term => term && same(names.pathOf(term), path))
    )
  })
}

/** `x == null`, `is_null(x)` */
function saysNull({ terms }: Expression): boolean {
  if (!isCall(terms)) return false
  const [, ...operands] = terms
  const operator = operatorOf(terms)
  return (
    operator === 'is_null' ||
    (['equal', 'eq'].includes(operator) && operands.some(({ type }) => type === 'null'))
  )
}

/** Whether a look at one place says that another is there too, or not. */
function covers(looked: InputPath, path: InputPath): boolean {
  const shorter = Math.min(looked.length, path.length)
  return (
    (isOptional(looked) && looked.slice(0, shorter).every((step, index) => step === path[index])) ||
    same(looked, path)
  )
}

function same(a: InputPath | undefined, b: InputPath): boolean {
  return a !== undefined && a.length === b.length && a.every((step, index) => step === b[index])
}

function pathsIn(node: unknown, names: Names): InputPath[] {
  return readsIn(node).flatMap(term => {
    const path = names.pathOf(term)
    return path ? [path] : []
  })
}
