/** Limits: who is near the end of what. */
import { bar, empty, fill, h, table, tag } from './dom.ts'
import { ago, count, percent } from './format.ts'
import { get } from './session.ts'
import type { LimitStanding } from './types.ts'
import type { Page, View } from './view.ts'

const ASKED_EVERY_MS = 3000

export function limitsView(page: Page): View {
  const list = h('section', { class: 'panel' })
  let timer: number | undefined

  async function load(): Promise<void> {
    try {
      const { limits } = await get<{ limits: LimitStanding[] }>('../limits')
      fill(list, limits.length > 0 ? shown(limits) : empty('No limit was named by the policy yet.'))
      timer = window.setTimeout(() => void load(), ASKED_EVERY_MS)
    } catch (error) {
      page.failed(error)
    }
  }

  void load()
  return {
    title: 'Limits',
    element: h(
      'div',
      { class: 'stack' },
      h('h1', {}, 'Limits'),
      h('p', { class: 'quiet' }, 'Those that the policy named lately, the one nearest its end first.'),
      list,
    ),
    leave: () => window.clearTimeout(timer),
  }
}

const COLUMNS = [
  { name: 'For' },
  { name: 'Limit' },
  { name: 'Used' },
  { name: 'Left', number: true, label: true },
  { name: 'Of', number: true, label: true },
  { name: 'Unit' },
  { name: 'Fresh', label: true },
]

function shown(limits: readonly LimitStanding[]): HTMLElement {
  return table(
    'Limits, the one nearest its end first',
    COLUMNS,
    limits.map(({ name, key, unit, limit, remaining, used, observe, resets_at }) => [
      h('span', { class: 'long' }, key),
      h('span', {}, h('span', { class: 'mono' }, name), observe ? [' ', tag('observed')] : null),
      h('span', {}, bar(used), percent(used)),
      count(remaining),
      count(limit),
      unit.replaceAll('_', ' '),
      resets_at ? ago(resets_at) : '',
    ]),
  )
}
