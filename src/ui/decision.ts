/** One decision, explained as far as its record tells. */
import { verdict } from './decision-table.ts'
import { facts, fill, h, panel, part, table } from './dom.ts'
import { count, moment, ms } from './format.ts'
import { get, Refused } from './session.ts'
import type { Decision } from './types.ts'
import type { Page, View } from './view.ts'

const REFRESHED_EVERY_MS = 1000

export function decisionView(page: Page, id: string): View {
  const element = h('div', { class: 'stack' }, h('h1', {}, 'Decision'))
  let timer: number | undefined

  async function load(): Promise<void> {
    try {
      const decision = await get<Decision>(`../decisions/${encodeURIComponent(id)}`)
      fill(element, ...shown(decision))
      if (decision.outcome === undefined) timer = window.setTimeout(() => void load(), REFRESHED_EVERY_MS)
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) return page.failed(error)
      const text = 'It is no longer among the latest. The audit log has it.'
      fill(element, h('h1', {}, 'Decision'), h('p', { class: 'notice' }, text), explainHint(id))
    }
  }

  void load()
  return { title: 'Decision', element, leave: () => window.clearTimeout(timer) }
}

function shown(decision: Decision): HTMLElement[] {
  const { result, principal, http, input } = decision
  const request = input?.request
  const reasons = result?.reasons ?? []
  return [
    h('div', { class: 'head' }, h('h1', {}, 'Decision'), h('a', { href: '#/decisions' }, 'All decisions')),
    h(
      'section',
      { class: 'panel' },
      h('div', { class: 'head' }, h('h2', {}, sentence(decision)), verdict(decision)),
      facts([
        ['Rule', result?.rule ? h('code', {}, result.rule) : null],
        [
          'Reasons',
          reasons.length > 0
            ? h(
                'ul',
                { class: 'plain' },
                reasons.map(reason => h('li', {}, reason)),
              )
            : null,
        ],
        ['Code', decision.code ? h('code', {}, decision.code) : null],
        ['Message', result?.message ?? null],
        ['Cause', decision.error ?? null],
        ['Rewrite', result?.rewrite ? h('code', {}, JSON.stringify(result.rewrite)) : null],
      ]),
    ),
    h(
      'div',
      { class: 'columns' },
      panel(
        'Request',
        facts([
          ['At', moment(decision.timestamp)],
          ['Call', h('code', {}, `${http?.method ?? ''} ${http?.path ?? ''}`)],
          ['Model', request?.model ?? null],
          ['Status', http?.status === undefined ? null : String(http.status)],
          ['From', decision.requested_by ?? null],
          ['Pool', decision.pool ?? null],
          ['Target', decision.target ?? null],
          [
            'Bytes',
            http?.bytes_out === undefined
              ? null
              : `${count(Number(http.bytes_in))} in, ${count(Number(http.bytes_out))} out`,
          ],
          ['Decision', h('code', {}, decision.decision_id)],
          [
            'Request id',
            decision.request_id && decision.request_id !== decision.decision_id
              ? h('code', {}, decision.request_id)
              : null,
          ],
          ['Trace', decision.trace_id ? h('code', {}, decision.trace_id) : null],
        ]),
      ),
      panel(
        'Principal',
        facts([
          ['Id', principal?.id ?? 'not known'],
          ['Kind', principal?.kind ?? null],
          ['Team', principal?.team ?? null],
          ['Roles', principal?.roles?.join(', ') ?? null],
          ['By', principal?.method?.replaceAll('_', ' ') ?? null],
          ['Labels', labels(decision)],
          [
            'Revision',
            decision.bundles?.gateway?.revision ? h('code', {}, decision.bundles.gateway.revision) : null,
          ],
        ]),
      ),
      panel('Time', timings(decision), usage(decision)),
    ),
    ...limits(decision),
    explainHint(decision.decision_id),
    h(
      'details',
      { class: 'panel' },
      h('summary', {}, 'The record'),
      h('pre', { tabindex: '0' }, JSON.stringify(decision, null, 2)),
    ),
  ]
}

function sentence({ principal, input, http, code, outcome }: Decision): string {
  const who = principal?.id ?? 'Somebody without a credential'
  const what = input?.request?.model ? `ask ${input.request.model}` : `call ${http?.path ?? ''}`
  if (outcome === 'refused' || code !== undefined) return `${who} may not ${what}`
  return `${who} may ${what}`
}

function labels(decision: Decision): string | null {
  const { app: _, version: __, ...own } = decision.labels ?? {}
  const pairs = Object.entries(own)
  return pairs.length > 0 ? pairs.map(([name, value]) => `${name}: ${value}`).join(', ') : null
}

const TIMES: readonly (readonly [string, string])[] = [
  ['decide', 'Deciding'],
  ['queue', 'Waiting for a target'],
  ['first_byte', 'Until the first byte'],
  ['total', 'In all'],
]

function timings({ timings = {}, metrics }: Decision): HTMLElement {
  const evaluated = metrics?.timer_policy_eval_ns
  const known: Record<string, number | null | undefined> =
    Object.keys(timings).length > 0 ? timings : { decide: evaluated === undefined ? null : evaluated / 1e6 }
  const most = Math.max(...Object.values(known).map(value => value ?? 0), Number.MIN_VALUE)
  return facts(
    TIMES.filter(([name]) => typeof known[name] === 'number').map(([name, label]) => {
      const value = known[name] as number
      return [label, [part(value / most), ms(value)]] as const
    }),
  )
}

function usage({ usage }: Decision): HTMLElement {
  if (!usage) return h('p', { class: 'quiet small' }, 'No tokens were reported.')
  const cost = usage.cost > 0 ? `, cost ${usage.cost}` : ''
  const how = usage.estimated ? ', counted as they passed' : ''
  return h(
    'p',
    { class: 'small' },
    `${count(usage.input_tokens)} tokens in, ${count(usage.output_tokens)} out${cost}${how}.`,
  )
}

function limits({ limits = [] }: Decision): HTMLElement[] {
  if (limits.length === 0) return []
  const columns = [
    { name: 'Limit' },
    { name: 'For' },
    { name: 'Left', number: true, label: true },
    { name: 'Of', number: true, label: true },
    { name: 'Unit' },
  ]
  const rows = limits.map(({ name, key, unit, limit, remaining }) => [
    name,
    key,
    count(remaining),
    count(limit),
    unit,
  ])
  return [panel('Limits after it', table('Limits of this decision', columns, rows))]
}

function explainHint(id: string): HTMLElement {
  return panel(
    'Every rule that was tried',
    h('p', { class: 'quiet small' }, 'With file and line, and the first expression that failed:'),
    h('pre', { tabindex: '0' }, `sallyport explain audit.jsonl --decision ${id}`),
  )
}
