/**
 * Terms of OPA's trace: as values, and as the text that a person would write.
 */

export interface Term {
  readonly type: string
  readonly value?: unknown
}

export interface Expression {
  readonly index: number
  /** Made by the compiler, to give a name to a part of what was written. */
  readonly generated?: boolean
  readonly negated?: boolean
  /** A call: its operator and its operands. Or one term. Or the parts of `every` or `some`. */
  readonly terms: readonly Term[] | Term | Readonly<Record<string, unknown>>
}

/**
 * @param locals - What variables hold; a term without any needs none.
 * @returns The value of a term as JSON; sets become lists.
 */
export function jsonOf({ type, value }: Term, locals?: ReadonlyMap<string, Term>): unknown {
  switch (type) {
    case 'var': {
      const bound = locals?.get(String(value))
      return bound ? jsonOf(bound) : value
    }
    // OPA writes it as an empty object.
    case 'null':
      return null
    case 'array':
    case 'set':
      return (value as readonly Term[]).map(member => jsonOf(member, locals))
    case 'object':
      return Object.fromEntries(
        (value as readonly (readonly [Term, Term])[]).map(([key, member]) => [
          keyOf(key),
          jsonOf(member, locals),
        ]),
      )
    default:
      return value
  }
}

function keyOf(key: Term): string {
  return key.type === 'string' ? String(key.value) : JSON.stringify(jsonOf(key))
}

/** How a variable is written, or undefined where it has no name of its own. */
export type NameOf = (variable: string) => string | undefined

const INFIX: Readonly<Record<string, string>> = {
  eq: '==',
  equal: '==',
  assign: ':=',
  neq: '!=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  plus: '+',
  minus: '-',
  mul: '*',
  div: '/',
  rem: '%',
  and: '&',
  or: '|',
  'internal.member_2': 'in',
}

export function textOf({ type, value }: Term, nameOf: NameOf): string {
  const list = (terms: unknown): string =>
    (terms as readonly Term[]).map(term => textOf(term, nameOf)).join(', ')
  switch (type) {
    case 'var':
      return nameOf(String(value)) ?? '_'
    case 'ref':
      return refText(value as readonly Term[], nameOf)
    case 'array':
      return `[${list(value)}]`
    case 'set':
      return (value as readonly Term[]).length === 0 ? 'set()' : `{${list(value)}}`
    case 'object':
      return `{${(value as readonly (readonly [Term, Term])[]).map(pair => pair.map(term => textOf(term, nameOf)).join(': ')).join(', ')}}`
    case 'call': {
      const [operator, ...operands] = value as readonly Term[]
      return callText(operator as Term, operands, nameOf)
    }
    case 'arraycomprehension':
      return '[…]'
    case 'setcomprehension':
    case 'objectcomprehension':
      return '{…}'
    case 'null':
      return 'null'
    default:
      return JSON.stringify(value) ?? ''
  }
}

function refText(parts: readonly Term[], nameOf: NameOf): string {
  const [head, ...rest] = parts
  let text = head ? textOf(head, nameOf) : ''
  for (const part of rest) {
    const isWord = part.type === 'string' && /^[A-Za-z_]\w*$/.test(String(part.value))
    text += isWord ? `.${part.value}` : `[${textOf(part, nameOf)}]`
  }
  return text
}

export function callText(operator: Term, operands: readonly Term[], nameOf: NameOf): string {
  const name = textOf(operator, variable => variable)
  const [left, right] = operands
  const infix = INFIX[name]
  if (infix && left && right) return `${textOf(left, nameOf)} ${infix} ${textOf(right, nameOf)}`
  return `${name}(${operands.map(operand => textOf(operand, nameOf)).join(', ')})`
}

/** A call's operator by its name, and its operands; of a single term, that term. */
export function partsOf(expression: Expression): { operator: string | undefined; operands: readonly Term[] } {
  const { terms } = expression
  if (Array.isArray(terms)) {
    const [operator, ...operands] = terms as readonly Term[]
    return { operator: operator && textOf(operator, variable => variable), operands }
  }
  const { type } = terms as Partial<Term>
  return { operator: undefined, operands: typeof type === 'string' ? [terms as Term] : [] }
}

/** Calls `visit` for a term and everything in it. */
export function walk(term: unknown, visit: (term: Term) => void): void {
  if (Array.isArray(term)) for (const part of term) walk(part, visit)
  else if (typeof term === 'object' && term !== null) {
    const { type, value } = term as Partial<Term>
    if (typeof type === 'string') {
      visit(term as Term)
      if (typeof value === 'object') walk(value, visit)
    } else for (const part of Object.values(term)) walk(part, visit)
  }
}

/** `data.a.b` of a reference into `data`, as far as its parts are words; undefined for any other. */
export function dataPath({ type, value }: Term): string | undefined {
  if (type !== 'ref') return undefined
  const [head, ...rest] = value as readonly Term[]
  if (head?.type !== 'var' || head.value !== 'data') return undefined
  const end = rest.findIndex(part => part.type !== 'string')
  const words = (end < 0 ? rest : rest.slice(0, end)).map(part => String(part.value))
  return ['data', ...words].join('.')
}
