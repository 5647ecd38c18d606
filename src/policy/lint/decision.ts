/**
 * The decision itself: that there is always one, and that a permission says by which rule.
 */

import { inputSchema } from '../../contract/input.schema.ts'
import { branchesOf, type Module, nameOf, type Rule, type Term } from '../compile/syntax.ts'
import { type Lint, rulesNamed, type Subject } from './lint.ts'

/** Told at the first of the rules, in the first module that has one. */
export const notTotal: Lint = subject => {
  const { name, own } = entryOf(subject)
  const all = rulesNamed(name, packageOf(subject), subject.modules)
  const [first] = all
  if (!own || !first || first.module !== subject.module) return []
  if (
    isTotal(
      all.map(({ rule }) => rule),
      first.module,
      subject.modules,
      new Set(),
    )
  )
    return []
  return [
    {
      code: 'no_default',
      message: `${name} may be undefined: then the caller gets a 500, and no reason`,
      location: first.rule.head.location,
      hint: `add \`default ${name} := {"allow": false, "rule": "default", "status": 403, "code": "forbidden"}\``,
    },
  ]
}

export const unnamedAllow: Lint = subject => {
  const { name, own } = entryOf(subject)
  if (!own) return []
  return subject.module.rules
    .filter(({ head }) => nameOf(head) === name)
    .flatMap(branchesOf)
    .flatMap(({ head, body }) => decisionsIn(head.value, body))
    .filter(isUnnamedAllow)
    .map(({ location }) => ({
      code: 'unnamed_allow',
      message: 'a permission without `rule`: neither the audit log nor the metrics can say what allowed it',
      location,
      hint: 'add `"rule": "…"`, a word that stays the same',
    }))
}

function packageOf({ entrypoint }: Subject): string[] {
  return entrypoint.split('/').slice(0, -1)
}

function entryOf(subject: Subject): { name: string; own: boolean } {
  const name = subject.entrypoint.split('/').at(-1) ?? ''
  return { name, own: subject.module.package.join('/') === packageOf(subject).join('/') }
}

/** A literal decision: the value itself, or what the body assigns to the variable that is the value. */
function decisionsIn(value: Term | undefined, body: Rule['body']): Term[] {
  if (value?.type === 'object') return [value]
  if (value?.type !== 'var') return []
  return body.flatMap(({ terms }) => {
    if (!Array.isArray(terms)) return []
    const [operator, left, right] = terms as Term[]
    const assigns =
      operator?.type === 'ref' && ['assign', 'eq'].includes(String((operator.value as Term[])[0]?.value))
    return assigns && left?.value === value.value && right?.type === 'object' ? [right] : []
  })
}

function isUnnamedAllow({ value }: Term): boolean {
  const members = value as [Term, Term][]
  const allow = members.find(([key]) => key.value === 'allow')?.[1]
  const refuses = allow?.type === 'boolean' && allow.value === false
  return (
    allow !== undefined && !refuses && !members.some(([key]) => key.value === 'rule' || key.type !== 'string')
  )
}

/** Whether rules of one name have a value whatever the input is. */
function isTotal(
  rules: readonly Rule[],
  module: Module,
  modules: readonly Module[],
  seen: ReadonlySet<Rule>,
): boolean {
  return rules.some(rule => {
    if (rule.default) return true
    if (seen.has(rule)) return false
    if (isPartial(rule)) return true
    return isTrivial(rule) && alwaysHas(rule.head.value, module, modules, new Set([...seen, rule]))
  })
}

/** A partial set or object is empty where nothing is in it. */
function isPartial({ head }: Rule): boolean {
  return head.key !== undefined
}

/** No body: `x := 1`. */
function isTrivial({ body, head }: Rule): boolean {
  const [only] = body
  const terms = only?.terms
  const isTrue =
    typeof terms === 'object' && !Array.isArray(terms) && 'value' in terms && terms.value === true
  return head.args === undefined && body.length === 1 && isTrue
}

function alwaysHas(
  term: Term | undefined,
  module: Module,
  modules: readonly Module[],
  seen: ReadonlySet<Rule>,
): boolean {
  if (!term) return true
  const has = (inner: Term): boolean => alwaysHas(inner, module, modules, seen)
  switch (term.type) {
    case 'array':
    case 'set':
      return (term.value as Term[]).every(has)
    case 'object':
      return (term.value as [Term, Term][]).flat().every(has)
    case 'call':
      // A builtin that fails refuses the decision with its own reason; a function may have no answer.
      return isBuiltinCall(term, module) && (term.value as Term[]).slice(1).every(has)
    case 'var':
      return namedRules([String(term.value)], module, modules).some(({ rules, of }) =>
        isTotal(rules, of, modules, seen),
      )
    case 'ref':
      return refHas(term, module, modules, seen)
    default:
      return true
  }
}

function isBuiltinCall({ value }: Term, module: Module): boolean {
  const [operator] = value as Term[]
  const first = String((operator as Term & { value: Term[] }).value[0]?.value)
  const isOwn = module.rules.some(({ head }) => nameOf(head).split('.')[0] === first)
  return first !== 'data' && !isOwn && !importsOf(module).has(first)
}

function refHas(term: Term, module: Module, modules: readonly Module[], seen: ReadonlySet<Rule>): boolean {
  const steps = (term.value as Term[]).map(({ type, value }, index) =>
    index === 0 || type === 'string' ? String(value) : undefined,
  )
  if (steps.includes(undefined)) return false
  if (steps[0] === 'input') return isRequired(steps.slice(1) as string[])
  return namedRules(steps as string[], module, modules).some(({ rules, of }) =>
    isTotal(rules, of, modules, seen),
  )
}

/** By the published schema. */
function isRequired(path: readonly string[]): boolean {
  let schema: { readonly required?: readonly string[]; readonly properties?: object } = inputSchema
  for (const step of path) {
    if (!schema.required?.includes(step)) return false
    schema = (schema.properties as Record<string, typeof schema>)[step] ?? {}
  }
  return true
}

/** Which rules a name means: of the same package, of an import, or of `data`. */
function namedRules(
  steps: readonly string[],
  module: Module,
  modules: readonly Module[],
): { rules: Rule[]; of: Module }[] {
  const [first = '', ...rest] = steps
  const imported = importsOf(module).get(first)
  const full = first === 'data' ? rest : imported ? [...imported, ...rest] : [...module.package, ...steps]
  const name = full.at(-1) ?? ''
  const found = rulesNamed(name, full.slice(0, -1), modules)
  const [one] = found
  return one ? [{ rules: found.map(({ rule }) => rule), of: one.module }] : []
}

/** What each import is called, and the path below `data` that it stands for. */
function importsOf({ imports }: Module): Map<string, string[]> {
  return new Map(
    imports.flatMap(({ path, alias }) => {
      const steps = (path.value as Term[]).map(({ value }) => String(value))
      return steps[0] === 'data' ? [[alias ?? (steps.at(-1) as string), steps.slice(1)] as const] : []
    }),
  )
}
