/**
 * Work that grows with the body, where nothing in the rule bounds it: the caller decides how long a decision takes.
 */
import { branchesOf, type Module, type Rule, type Term } from '../compile/syntax.ts'
import type { Lint, LintFinding } from './lint.ts'
import {
  callsIn,
  expressionsIn,
  type InputPath,
  iterationsOf,
  type Names,
  namesIn,
  readsIn,
  showPath,
} from './reading.ts'

/** One finding a rule. */
export const unboundedBody: Lint = ({ module }) =>
  module.rules.flatMap(branchesOf).flatMap(rule => findingIn(rule, module))

function findingIn(rule: Rule, module: Module): LintFinding[] {
  const names = namesIn(rule, module)
  const [first] = bodyLoops(rule, names)
  if (!first || isBounded(rule, names)) return []
  const { path, term } = first
  return [
    {
      code: 'unbounded_body',
      message: `goes through ${showPath(path)}, which may be as long as a body may be`,
      location: term.location,
      hint: 'bound it here, such as with `input.request.body_bytes <= 65536`, and refuse what is larger in another rule',
    },
  ]
}

function bodyLoops(rule: Rule, names: Names): { path: InputPath; term: Term }[] {
  const domains = expressionsIn(rule).flatMap(expression =>
    iterationsOf(expression).map(({ domain }) => domain),
  )
  const walked = callsIn([rule.body, rule.head.key, rule.head.value])
    .filter(({ operator }) => operator === 'walk')
    .flatMap(({ operands }) => operands.slice(0, 1))
  const whole = [...domains, ...walked].flatMap(term => {
    const path = names.pathOf(term)
    return path && isBody(path) ? [{ path, term }] : []
  })
  const stepped = readsIn([rule.body, rule.head.key, rule.head.value]).flatMap(term => {
    const path = term.type === 'ref' ? names.pathOf(term) : undefined
    return path && isBody(path) && hasLooseKey(term, names) ? [{ path, term }] : []
  })
  return [...whole, ...stepped]
}

function isBody([first, second]: InputPath): boolean {
  return first === 'request' && second === 'body'
}

/** `body.messages[_]`, or a key that no other expression gives a value. */
function hasLooseKey(term: Term, names: Names): boolean {
  const [, ...keys] = term.value as Term[]
  return keys.some(({ type, value }) => type === 'var' && !names.isBound(String(value)))
}

const COMPARISONS = new Set(['lt', 'lte', 'gt', 'gte', 'equal', 'eq'])
const SIZES = new Set(['request.body_bytes', 'request.estimated_input_tokens'])

function isBounded(rule: Rule, names: Names): boolean {
  return callsIn(rule.body).some(
    ({ operator, operands }) => COMPARISONS.has(operator) && operands.some(operand => isSize(operand, names)),
  )
}

function isSize(term: Term, names: Names): boolean {
  const path = names.pathOf(term)
  if (path) return SIZES.has(path.join('.'))
  return callsIn(term).some(({ operator, operands: [counted] }) => {
    const of = operator === 'count' && counted ? names.pathOf(counted) : undefined
    return of !== undefined && isBody(of)
  })
}
