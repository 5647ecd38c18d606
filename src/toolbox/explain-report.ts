/**
 * What `explain` found out, for people.
 */
import { styleText } from 'node:util'
import type { RuleOutcome } from '../policy/explain/explain.ts'
import { verdictIn, verdictText } from '../policy/replay/replay.ts'
import type { Explained } from './explain.ts'
import { print } from './output.ts'

const MOST_CHARACTERS = 200

export function printExplanation(explained: Explained): void {
  const { decision, error, input, recorded, revision, rules, needed, notes } = explained
  if (input !== null) print(askedText(input))
  print(error ? red(`no decision: ${error.code}`) : verdict(decision))
  if (error) print(`  ${error.message}`)
  const { message, reasons = [] } = (decision ?? {}) as { message?: string; reasons?: readonly string[] }
  if (message !== undefined) print(`  ${message}`)
  for (const reason of reasons) print(`  because ${reason}`)
  print(`  policy revision ${revision}`)
  if (recorded && !recorded.same)
    print(`  recorded as ${recorded.decision_id}: ${verdictText(verdictIn(recorded.decision))}`)
  for (const note of notes) print(yellow(`  note: ${note}`))
  if (needed.length > 0) {
    print('\nWhat would have to be different:')
    for (const { file, line, message, rule } of needed) print(`  ${file}:${line}: ${message} [${rule}]`)
  }
  if (rules.length > 0) {
    print('\nRules that were tried, each before those that it looks at:')
    for (const rule of rules) printRule(rule)
  }
}

function askedText(input: unknown): string {
  const { request, principal, time } = input as {
    request?: { method?: string; path?: string; model?: string | null }
    principal?: { id?: string; roles?: readonly string[] }
    time?: { now_ns?: number }
  }
  const roles = principal?.roles?.length ? ` (${principal.roles.join(', ')})` : ''
  const at = time?.now_ns === undefined ? '' : `, ${new Date(time.now_ns / 1e6).toISOString()}`
  const model = request?.model ? ` for ${request.model}` : ''
  return `${principal?.id ?? 'nobody'}${roles}: ${request?.method ?? ''} ${request?.path ?? ''}${model}${at}`
}

function verdict(decision: unknown): string {
  const text = verdictText(verdictIn(decision))
  return (decision as { allow?: unknown } | null)?.allow === true ? green(text) : red(`refused: ${text}`)
}

function printRule({ name, file, line, title, outcome, failed }: RuleOutcome): void {
  const mark = outcome ? green('true ') : red('false')
  print(`  ${mark} ${file}:${line}: ${name}${title === undefined ? '' : ` (${title})`}`)
  if (!failed) return
  print(`          ${failed.file}:${failed.line}: ${short(failed.expression)}`)
  for (const [seen, value] of Object.entries(failed.values))
    print(`            ${short(seen)} = ${short(JSON.stringify(value) ?? 'undefined')}`)
  for (const seen of failed.undefined ?? []) print(`            ${short(seen)} is undefined`)
}

function short(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}

const coloured = (colour: 'red' | 'green' | 'yellow') => (text: string) =>
  process.stdout.isTTY ? styleText(colour, text) : text
const red = coloured('red')
const green = coloured('green')
const yellow = coloured('yellow')
