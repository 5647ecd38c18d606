/**
 * What a rule reads of `input`: refs resolved through imports and local names, and the expressions in which
 * they stand.
 */
import {
  type Expression,
  isCall,
  isEvery,
  isSome,
  isTerm,
  type Module,
  operatorOf,
  type Rule,
  type Term,
} from '../compile/syntax.ts'

/** Below `input`. A step that is not constant is undefined. */
export type InputPath = readonly (string | number | undefined)[]

/** What names stand for in one rule. */
export interface Names {
  /** The path of a term that reads the input, and of nothing else. */
  pathOf(term: Term): InputPath | undefined
  /** Whether the value of a term depends on what the caller wrote into the request. */
  fromCaller(node: unknown): boolean
  /** Whether a variable of this rule has a value before it is used as a key. */
  isBound(variable: string): boolean
}

/** Of a request, what the caller does not choose freely. */
const OURS = new Set([
  'id',
  'operation',
  'tls',
  'client_ip',
  'body_bytes',
  'estimated_input_tokens',
  'stream',
])

export function namesIn(rule: Rule, module: Module): Names {
  const paths = new Map<string, InputPath>([['input', []]])
  const tainted = new Set<string>()
  const bound = new Set<string>()
  for (const { path, alias } of module.imports) {
    const steps = path.value as Term[]
    const name = alias ?? String(steps.at(-1)?.value)
    if (steps[0]?.value === 'input') paths.set(name, steps.slice(1).map(stepOf))
  }
  for (const { value } of rule.head.args ?? []) {
    paths.delete(String(value))
    bound.add(String(value))
  }

  function pathOf(term: Term): InputPath | undefined {
    if (term.type === 'var') return paths.get(String(term.value))
    if (term.type !== 'ref') return undefined
    const [first, ...rest] = term.value as Term[]
    const base = first?.type === 'var' ? paths.get(String(first.value)) : undefined
    return base && [...base, ...rest.map(stepOf)]
  }

  function fromCaller(node: unknown): boolean {
    if (Array.isArray(node)) return node.some(fromCaller)
    if (typeof node !== 'object' || node === null) return false
    if (!isTerm(node)) return Object.values(node).some(fromCaller)
    if (node.type === 'var' && tainted.has(String(node.value))) return true
    const path = pathOf(node)
    if (path) return path[0] === 'request' && !(path.length === 2 && OURS.has(String(path[1])))
    return fromCaller(node.value)
  }

  for (const expression of expressionsIn(rule)) {
    for (const { name, value } of bindingsOf(expression)) {
      bound.add(name)
      const path = value && pathOf(value)
      if (path && !paths.has(name)) paths.set(name, path)
      if (value && fromCaller(value)) tainted.add(name)
    }
    for (const { variables, domain } of iterationsOf(expression)) {
      for (const variable of variables) {
        bound.add(variable)
        if (fromCaller(domain)) tainted.add(variable)
      }
    }
  }
  return { pathOf, fromCaller, isBound: name => bound.has(name) }
}

function stepOf({ type, value }: Term): string | number | undefined {
  return type === 'string' || type === 'number' ? (value as string | number) : undefined
}

/** `x := value` and `x = value`. */
function bindingsOf({ terms }: Expression): { name: string; value: Term | undefined }[] {
  if (!isCall(terms) || !['assign', 'eq'].includes(operatorOf(terms))) return []
  const [, left, right] = terms
  if (left?.type === 'var') return [{ name: String(left.value), value: right }]
  return variablesIn(left).map(name => ({ name, value: right }))
}

function variablesIn(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(variablesIn)
  if (!isTerm(node)) return []
  if (node.type === 'var') return [String(node.value)]
  return ['array', 'object'].includes(node.type) ? variablesIn(node.value) : []
}

export interface Iteration {
  readonly variables: readonly string[]
  readonly domain: Term
}

/** `some x in xs`, `some k, v in xs`, `every x in xs {…}`. */
export function iterationsOf({ terms }: Expression): Iteration[] {
  if (isEvery(terms)) {
    const { key, value, domain } = terms
    return [{ variables: variablesIn([key, value].filter(term => term !== null)), domain }]
  }
  if (!isSome(terms)) return []
  return terms.symbols.flatMap(symbol => {
    if (symbol.type !== 'call') return []
    const members = (symbol.value as Term[]).slice(1)
    const domain = members.at(-1)
    return domain ? [{ variables: variablesIn(members.slice(0, -1)), domain }] : []
  })
}

/** All expressions of a rule's own branch, those in comprehensions and `every` too. */
export function expressionsIn({ body, head }: Pick<Rule, 'body' | 'head'>): Expression[] {
  return [...found(body), ...found(head.value), ...found(head.key)]
}

function found(node: unknown): Expression[] {
  if (Array.isArray(node)) return node.flatMap(found)
  if (typeof node !== 'object' || node === null) return []
  const inside = Object.entries(node).flatMap(([key, member]) => (key === 'location' ? [] : found(member)))
  return 'terms' in node ? [node as Expression, ...inside] : inside
}

/** Every term below a node that is a ref or a variable, outermost first. */
export function readsIn(node: unknown): Term[] {
  if (Array.isArray(node)) return node.flatMap(readsIn)
  if (typeof node !== 'object' || node === null) return []
  const inside = Object.entries(node).flatMap(([key, member]) => (key === 'location' ? [] : readsIn(member)))
  return isTerm(node) && (node.type === 'ref' || node.type === 'var') ? [node, ...inside] : inside
}

export interface Call {
  readonly operator: string
  readonly operands: readonly Term[]
}

/** Every call below a node, an expression's own too. */
export function callsIn(node: unknown): Call[] {
  if (Array.isArray(node)) return node.flatMap(callsIn)
  if (typeof node !== 'object' || node === null) return []
  const inside = Object.entries(node).flatMap(([key, member]) => (key === 'location' ? [] : callsIn(member)))
  const terms = callTerms(node)
  return terms ? [{ operator: operatorOf(terms), operands: terms.slice(1) }, ...inside] : inside
}

function callTerms(node: object): readonly Term[] | undefined {
  if (isTerm(node)) return node.type === 'call' ? (node.value as Term[]) : undefined
  if (!('terms' in node)) return undefined
  const { terms } = node as Expression
  return isCall(terms) ? terms : undefined
}

export function showPath(path: InputPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'string')
      return /^[A-Za-z_]\w*$/.test(step) ? `${text}.${step}` : `${text}[${JSON.stringify(step)}]`
    return `${text}[${step ?? '_'}]`
  }, 'input')
}
