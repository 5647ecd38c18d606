/**
 * What would have to be different, as a sentence.
 */
import { definitionsIn, nameIn } from './failure.ts'
import type { Need } from './needed.ts'
import { jsonOf, partsOf, type Term, textOf, walk } from './terms.ts'
import type { Failure } from './trace.ts'

/**
 * @param expression - What failed, or the conditions of a rule that must not hold, as they are written.
 * @returns What would have to hold, in words.
 */
export function sentenceOf(
  { rule, failure }: Need,
  expression: string,
  values: Readonly<Record<string, unknown>>,
): string {
  if (!failure) return `${rule.name} holds, and would have to fail${expression && `: ${expression}`}`
  const { operator, operands } = partsOf(failure.expression)
  const name = nameIn(failure.query, definitionsIn(failure.query))
  const [left, right] = operands.map(operand => described(operand, failure, name, values))
  if (failure.expression.negated) {
    if (operator !== undefined || !left) return `${expression}: would have to hold`
    return `${left.text} is ${left.shown}, and would have to be false or undefined`
  }
  if (operator !== undefined && left && right) {
    const is = `${left.text} is ${left.shown}`
    switch (operator) {
      case 'eq':
      case 'equal':
        if (right.isWhole) return `${right.text} is ${right.shown}, and would have to have a member that fits`
        if (left.isWhole) return `${is}, and would have to hold ${right.shown}`
        if (left.isConstant) return `${right.text} is ${right.shown}, and would have to be ${left.shown}`
        return `${is}, and would have to be ${right.shown}`
      case 'neq':
        return `${is}, and would have to be something else than ${right.shown}`
      case 'gt':
      case 'gte':
      case 'lt':
      case 'lte':
        return `${is}, and would have to be ${COMPARED[operator]} ${right.shown}`
      case 'internal.member_2':
        return left.isConstant
          ? `${right.text} is ${right.shown}, and would have to hold ${left.shown}`
          : `${is}, and would have to be one of ${right.shown}`
    }
  }
  if (operator === undefined && left) return `${left.text} is ${left.shown}, and would have to hold`
  return `${expression}: would have to hold`
}

const COMPARED = { gt: 'more than', gte: 'at least', lt: 'less than', lte: 'at most' } as const

interface Described {
  readonly text: string
  readonly shown: string
  readonly isConstant: boolean
  /** All of a collection that was gone through. */
  readonly isWhole: boolean
}

function described(
  operand: Term,
  { locals }: Failure,
  name: (variable: string) => string | undefined,
  values: Readonly<Record<string, unknown>>,
): Described {
  const isFree = ({ type, value }: Term): boolean => type === 'var' && !locals.has(String(value))
  if (operand.type === 'ref') {
    const [head, ...rest] = operand.value as readonly Term[]
    const free = rest.findIndex(isFree)
    const path = free < 0 ? rest : rest.slice(0, free)
    const text = textOf({ type: 'ref', value: [head, ...path] }, name)
    return { text, shown: shown(text, values), isConstant: false, isWhole: free >= 0 }
  }
  const text = textOf(operand, name)
  let isConstant = true
  let isBound = true
  walk(operand, term => {
    if (term.type === 'var') isConstant = false
    if (isFree(term)) isBound = false
  })
  const isComposite = operand.type !== 'var' && isBound
  return {
    text,
    shown: isComposite ? (JSON.stringify(jsonOf(operand, locals)) ?? '') : shown(text, values),
    isConstant,
    isWhole: false,
  }
}

function shown(text: string, values: Readonly<Record<string, unknown>>): string {
  return Object.hasOwn(values, text) ? (JSON.stringify(values[text]) ?? 'undefined') : 'undefined'
}
