/** Pools and their targets: slots, queues, health. */
import { bar, empty, fill, h, table, tag } from './dom.ts'
import { count } from './format.ts'
import type { PoolStatus, TargetStatus } from './types.ts'
import type { State, View } from './view.ts'

export function poolsView(): View {
  const list = h('div', { class: 'stack' })
  return {
    title: 'Pools',
    element: h('div', { class: 'stack' }, h('h1', {}, 'Pools'), list),
    update({ status }: State) {
      const pools = Object.entries(status?.pools ?? {})
      fill(list, pools.length > 0 ? pools.map(poolPanel) : empty('No pool is known yet.'))
    },
  }
}

const COLUMNS = [
  { name: 'Target' },
  { name: 'State' },
  { name: 'In flight', label: true },
  { name: 'Weight', number: true, label: true },
  { name: 'Failures in a row', number: true, label: true },
]

function poolPanel([name, pool]: [string, PoolStatus]): HTMLElement {
  const healthy = pool.targets.filter(target => target.healthy).length
  const mood = healthy === pool.targets.length ? 'good' : healthy > 0 ? 'warn' : 'bad'
  return h(
    'section',
    { class: 'panel' },
    h(
      'div',
      { class: 'head' },
      h('h2', {}, name),
      h(
        'ul',
        { class: 'tags' },
        h('li', {}, tag(`${count(pool.queued)} waiting`, pool.queued > 0 ? 'warn' : 'plain')),
        h('li', {}, tag(`${healthy} of ${pool.targets.length} healthy`, mood)),
      ),
    ),
    h('p', { class: 'quiet small long' }, `Serves ${pool.models.join(', ')}`),
    table(`Targets of ${name}`, COLUMNS, pool.targets.map(targetRow)),
  )
}

function targetRow(target: TargetStatus) {
  const { url, in_flight, slots, weight, failures, kind } = target
  const busy = slots ? [bar(in_flight / slots), `${in_flight} of ${slots}`] : String(in_flight)
  return [
    h('span', {}, h('span', { class: 'mono long' }, url), h('span', { class: 'quiet small' }, ` ${kind}`)),
    stateTag(target),
    busy,
    String(weight),
    String(failures),
  ]
}

function stateTag({ healthy, breaker }: TargetStatus): HTMLElement {
  const word = breaker === 'closed' ? undefined : breaker.replaceAll('_', ' ')
  return healthy ? tag(word ?? 'healthy', 'good') : tag(word ?? 'passed over', 'bad')
}
