/**
 * `with time.now_ns as now`, where `now` is a variable or is computed: OPA's compiler to WASM loses such a
 * value on its way into other rules, and the test fails there. It arrives by way of data:
 * `with data.sallyport_values.m1 as now with time.now_ns as data.sallyport_mocks.m1`, in this order.
 */

import { isTerm, type Location, type Module, nameOf, type Term } from '../compile/syntax.ts'
import type { EditedText } from './edited-text.ts'

/** The source of the rules that hand the values on. */
export const MOCKS_FILE = 'sallyport_mocks_test.rego'

interface With {
  readonly target: Term
  readonly value: Term
  readonly location: Location
}

export interface Mocks {
  rewrite(module: Module, edited: EditedText): void
  /** Undefined when there is none. */
  source(): string | undefined
}

/** @param modules - All that are known, for the names of their rules. */
export function createMocks(modules: readonly Module[]): Mocks {
  let count = 0

  function rewrite(module: Module, edited: EditedText): void {
    const known = namesIn(module, modules)
    for (const { target, value, location } of withsIn(module.rules)) {
      if (!isBuiltin(target, known) || !isComputed(value, known)) continue
      const mock = `m${++count}`
      const by = `with data.sallyport_values.${mock} as ${value.location.text} with ${target.location.text} as data.sallyport_mocks.${mock}`
      edited.replace(location, location.text, by)
    }
  }

  return {
    rewrite,
    source() {
      if (count === 0) return undefined
      const rules = Array.from({ length: count }, (_, i) => `m${i + 1} := data.sallyport_values.m${i + 1}\n`)
      return `package sallyport_mocks\n\n${rules.join('')}`
    },
  }
}

/** What a first name can mean besides a local variable. */
function namesIn(module: Module, modules: readonly Module[]): ReadonlySet<string> {
  const siblings = modules.filter(other => other.package.join('.') === module.package.join('.'))
  const imports = module.imports.map(
    ({ path, alias }) => alias ?? String((path.value as Term[]).at(-1)?.value),
  )
  const rules = siblings.flatMap(({ rules }) => rules.map(({ head }) => nameOf(head).split('.')[0] as string))
  return new Set([...imports, ...rules, 'data', 'input'])
}

function isBuiltin({ type, value }: Term, known: ReadonlySet<string>): boolean {
  const first = type === 'ref' ? (value as Term[])[0]?.value : value
  return !known.has(String(first))
}

/** A constant, and a rule or function by its name, arrive as they are. */
function isComputed(value: Term, known: ReadonlySet<string>): boolean {
  if (value.type === 'var') return !known.has(String(value.value))
  if (value.type === 'ref') {
    const [first, ...rest] = value.value as Term[]
    return !known.has(String(first?.value)) || rest.some(({ type }) => type !== 'string')
  }
  if (['array', 'object', 'set'].includes(value.type)) return !isConstant(value.value)
  return !['string', 'number', 'boolean', 'null'].includes(value.type)
}

function isConstant(node: unknown): boolean {
  if (Array.isArray(node)) return node.every(isConstant)
  if (!isTerm(node)) return true
  return ['array', 'object', 'set'].includes(node.type)
    ? isConstant(node.value)
    : ['string', 'number', 'boolean', 'null'].includes(node.type)
}

function withsIn(node: unknown): With[] {
  if (typeof node !== 'object' || node === null) return []
  if (Array.isArray(node)) return node.flatMap(withsIn)
  return Object.entries(node).flatMap(([key, member]) =>
    key === 'with' ? (member as With[]) : withsIn(member),
  )
}
