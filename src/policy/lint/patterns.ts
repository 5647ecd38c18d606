/**
 * Patterns that the caller writes: who writes the pattern decides what it matches. And replacing nothing by
 * something: here the text grows with each character; in a module as `opa build` leaves it, it never ends.
 */
import { branchesOf, type Term } from '../compile/syntax.ts'
import type { Lint, LintFinding, Subject } from './lint.ts'
import { type Call, callsIn, type Names, namesIn } from './reading.ts'

/** Which operands of a builtin are patterns. */
const PATTERNS: Readonly<Record<string, readonly number[]>> = {
  'regex.match': [0],
  re_match: [0],
  'regex.split': [0],
  'regex.find_n': [0],
  'regex.find_all_string_submatch_n': [0],
  'regex.replace': [1],
  'regex.template_match': [0],
  'regex.globs_match': [0, 1],
  'glob.match': [0],
}

export const patternFromInput: Lint = subject =>
  overCalls(subject, ({ operator, operands }, names) => {
    const pattern = (PATTERNS[operator] ?? [])
      .map(index => operands[index])
      .find(term => names.fromCaller(term))
    if (!pattern) return []
    return [
      {
        code: 'pattern_from_input',
        message: `the pattern of ${operator} comes from the request: its author decides what it matches`,
        location: pattern.location,
        hint: 'take the pattern from the policy or its data, and what it is matched against from the input',
      },
    ]
  })

export const runawayReplace: Lint = subject =>
  overCalls(subject, ({ operator, operands }, names) => {
    const looked = soughtBy(operator, operands)
    const runaway = looked.find(term => isEmpty(term) || names.fromCaller(term))
    if (!runaway) return []
    const what = isEmpty(runaway) ? 'is empty' : 'comes from the request, and may be empty'
    const then = 'an empty text is found between all characters, and on other engines without end'
    return [
      {
        code: 'runaway_replace',
        message: `what ${operator} looks for ${what}: ${then}`,
        location: runaway.location,
        hint: 'look for a constant that is not empty',
      },
    ]
  })

function soughtBy(operator: string, operands: readonly Term[]): Term[] {
  if (operator === 'replace') return operands.slice(1, 2)
  const [patterns] = operands
  if (operator !== 'strings.replace_n' || !patterns) return []
  return patterns.type === 'object' ? (patterns.value as [Term, Term][]).map(([key]) => key) : [patterns]
}

function isEmpty({ type, value }: Term): boolean {
  return type === 'string' && value === ''
}

function overCalls({ module }: Subject, look: (call: Call, names: Names) => LintFinding[]): LintFinding[] {
  return module.rules.flatMap(branchesOf).flatMap(rule => {
    const names = namesIn(rule, module)
    return callsIn([rule.body, rule.head.key, rule.head.value]).flatMap(call => look(call, names))
  })
}
