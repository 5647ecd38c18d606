/** Decisions as they come, with filters. */
import { decisionTable } from './decision-table.ts'
import { empty, fill, h } from './dom.ts'
import { follow } from './session.ts'
import type { Decision } from './types.ts'
import type { Page, View } from './view.ts'

const MOST_SHOWN = 200
const DRAWN_EVERY_MS = 250

const FILTERS = [
  ['principal', 'Principal'],
  ['model', 'Model'],
  ['rule', 'Rule'],
  ['code', 'Code'],
] as const

export function decisionsView(page: Page, query: URLSearchParams): View {
  const decisions = new Map<string, Decision>()
  const list = h('section', { class: 'panel' })
  const announced = h('p', { class: 'hidden', role: 'status' })
  const pause = h(
    'button',
    { type: 'button', 'aria-pressed': 'false', click: () => setPaused(!paused) },
    'Pause',
  )
  let paused = false
  let timer: number | undefined
  let stop = (): void => {}

  const form = h(
    'form',
    { class: 'filters panel', role: 'search', 'aria-label': 'Filter decisions', submit: apply },
    FILTERS.map(([name, label]) =>
      h(
        'label',
        {},
        label,
        h('input', { name, value: query.get(name) ?? '', autocomplete: 'off', spellcheck: 'false' }),
      ),
    ),
    h(
      'label',
      {},
      'Verdict',
      h(
        'select',
        { name: 'allow', change: apply },
        option('', 'all'),
        option('true', 'allowed'),
        option('false', 'refused'),
      ),
    ),
    h('div', { class: 'buttons' }, h('button', { class: 'main' }, 'Filter'), pause),
  )

  function option(value: string, text: string): HTMLElement {
    return h('option', { value, selected: (query.get('allow') ?? '') === value }, text)
  }

  /** A filter is part of the address, so that it can be kept and passed on. */
  function apply(event: Event): void {
    event.preventDefault()
    const wanted = new URLSearchParams()
    for (const [name, value] of new FormData(form)) if (value !== '') wanted.set(name, String(value))
    location.hash = `#/decisions${wanted.size > 0 ? `?${wanted}` : ''}`
  }

  function setPaused(next: boolean): void {
    paused = next
    pause.textContent = paused ? 'Go on' : 'Pause'
    pause.setAttribute('aria-pressed', String(paused))
    announced.textContent = paused ? 'Paused' : 'Live'
    if (!paused) draw()
  }

  function take(decision: Decision): void {
    const known = decisions.get(decision.decision_id)
    decisions.set(decision.decision_id, decision)
    if (!known && decisions.size > MOST_SHOWN) decisions.delete(decisions.keys().next().value as string)
    if (!paused) timer ??= window.setTimeout(draw, DRAWN_EVERY_MS)
  }

  function draw(): void {
    timer = undefined
    const held = document.activeElement
    const address = held instanceof HTMLAnchorElement && list.contains(held) ? held.hash : undefined
    const shown = [...decisions.values()].reverse()
    fill(
      list,
      shown.length > 0
        ? decisionTable(shown)
        : empty('No decision fits. New ones appear here as they are made.'),
    )
    if (address) list.querySelector<HTMLAnchorElement>(`a[href="${address}"]`)?.focus()
  }

  draw()
  const asked = new URLSearchParams(query)
  asked.set('outcomes', 'true')
  asked.set('limit', String(MOST_SHOWN))
  stop = follow(`../decisions?${asked}`, {
    onEvent: ({ data }) => take(JSON.parse(data) as Decision),
    onState: () => {},
    onRefused: error => page.failed(error),
  })
  return {
    title: 'Decisions',
    element: h('div', { class: 'stack' }, h('h1', {}, 'Decisions'), form, announced, list),
    leave() {
      stop()
      window.clearTimeout(timer)
    },
  }
}
