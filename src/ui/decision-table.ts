/** Decisions, a row each. */
import { h, table, tag } from './dom.ts'
import { count, ms, time } from './format.ts'
import type { Decision } from './types.ts'

const COLUMNS = [
  { name: 'Time' },
  { name: 'Verdict' },
  { name: 'Principal' },
  { name: 'Model' },
  { name: 'Rule' },
  { name: 'Told', label: true },
  { name: 'Took', number: true, label: true },
  { name: 'Tokens', number: true, label: true },
]

export function decisionTable(decisions: readonly Decision[]): HTMLElement {
  return table(
    'Decisions, the latest first',
    COLUMNS,
    decisions.map(decision => [
      h('a', { href: `#/decisions/${decision.decision_id}`, class: 'mono' }, time(decision.timestamp)),
      verdict(decision),
      decision.principal?.id ?? h('span', { class: 'quiet' }, 'not known'),
      decision.input?.request?.model ?? '',
      h('span', { class: 'mono' }, decision.result?.rule ?? ''),
      decision.code ?? String(decision.http?.status ?? ''),
      decision.timings?.total === undefined ? '' : ms(decision.timings.total),
      decision.usage ? count(decision.usage.input_tokens + decision.usage.output_tokens) : '',
    ]),
  )
}

export function verdict({ code, outcome }: Decision): HTMLElement {
  if (outcome === 'refused' || (code !== undefined && outcome === undefined)) return tag('refused', 'bad')
  if (outcome === undefined) return tag('running')
  if (outcome === 'completed') return tag('allowed', 'good')
  return tag(outcome.replaceAll('_', ' '), 'warn')
}
