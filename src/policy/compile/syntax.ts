/**
 * The syntax of a Rego file, as `opa parse --format json --json-include locations` tells it.
 */

export interface Location {
  readonly row: number
  readonly col: number
  /** The source itself. */
  readonly text: string
}

export interface Term {
  readonly type: string
  readonly value: unknown
  readonly location: Location
}

export interface Expression {
  /** A term alone; a call, its operator first; `some`; or `every`. */
  readonly terms: Term | readonly Term[] | SomeTerms | EveryTerms
  readonly negated?: boolean
  readonly with?: readonly unknown[]
  readonly location: Location
}

export interface SomeTerms {
  /** Variables, or one call of `internal.member_2` or `internal.member_3`. */
  readonly symbols: readonly Term[]
}

export interface EveryTerms {
  readonly key: Term | null
  readonly value: Term
  readonly domain: Term
  readonly body: readonly Expression[]
}

export interface Head {
  readonly ref: readonly Term[]
  readonly args?: readonly Term[]
  /** Of a partial rule. */
  readonly key?: Term
  readonly value?: Term
  readonly assign?: boolean
  readonly location: Location
}

export interface Rule {
  readonly head: Head
  readonly body: readonly Expression[]
  readonly else?: Rule
  readonly default?: boolean
  readonly location: Location
}

export interface Import {
  readonly path: Term
  readonly alias?: string
}

export interface Module {
  /** Relative to the sources. */
  readonly file: string
  /** Without `data`. */
  readonly package: readonly string[]
  readonly imports: readonly Import[]
  readonly rules: readonly Rule[]
}

interface Parsed {
  readonly package: { readonly path: readonly { readonly value: unknown }[] }
  readonly imports?: readonly Import[]
  readonly rules?: readonly Rule[]
}

export function readModule(file: string, json: string): Module {
  const {
    package: { path },
    imports = [],
    rules = [],
  } = JSON.parse(json, (key, value) => {
    return key === 'location' ? locationOf(value as RawLocation) : value
  }) as Parsed
  return { file, package: path.slice(1).map(({ value }) => String(value)), imports, rules }
}

interface RawLocation {
  readonly row: number
  readonly col: number
  readonly text?: string
}

function locationOf({ row, col, text = '' }: RawLocation): Location {
  return { row, col, text: Buffer.from(text, 'base64').toString() }
}

/** A rule's name with what follows it, where that is constant: `deny`, `a.b`. */
export function nameOf({ ref }: Head): string {
  const parts: string[] = []
  for (const [index, { type, value }] of ref.entries()) {
    if (index > 0 && type !== 'string') break
    parts.push(String(value))
  }
  return parts.join('.')
}

/** Whether a rule of the module gives a value to an entrypoint, such as `gateway/access`. */
export function defines({ package: own, rules }: Module, entrypoint: string): boolean {
  return rules.some(({ head }) =>
    `${[...own, ...nameOf(head).split('.')].join('/')}/`.startsWith(`${entrypoint}/`),
  )
}

/** A rule and its `else` branches. */
export function branchesOf(rule: Rule): Rule[] {
  return rule.else ? [rule, ...branchesOf(rule.else)] : [rule]
}

export function isTerm(node: unknown): node is Term {
  return typeof node === 'object' && node !== null && 'type' in node && 'value' in node
}

/** The operator of a call such as `x == 1` or `f(x)`: `equal`, `data.lib.f`. */
export function operatorOf(call: readonly Term[]): string {
  const [operator] = call
  return operator?.type === 'ref'
    ? (operator.value as Term[]).map(({ value }) => String(value)).join('.')
    : ''
}

export function isCall(terms: Expression['terms']): terms is readonly Term[] {
  return Array.isArray(terms)
}

export function isSome(terms: Expression['terms']): terms is SomeTerms {
  return 'symbols' in terms
}

export function isEvery(terms: Expression['terms']): terms is EveryTerms {
  return 'domain' in terms
}
