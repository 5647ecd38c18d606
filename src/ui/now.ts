/** Now: traffic, latency and tokens of the last minutes, and how all parts are. */
import { createChart } from './chart.ts'
import { decisionTable } from './decision-table.ts'
import { empty, fill, h, panel, part, table, tag } from './dom.ts'
import { count, ms, rate, seconds } from './format.ts'
import type { PulseSecond, WorkerState } from './types.ts'
import type { State, View } from './view.ts'

export function nowView(): View {
  const tiles = h('dl', { class: 'tiles' })
  const requests = createChart('Requests per second', true, rate)
  const latency = createChart('Latency', false, ms)
  const tokens = createChart('Tokens per second', true, rate)
  const health = panel('Health')
  const pools = panel('Pools')
  const workers = panel('Workers')
  const latest = panel('Latest decisions')
  const charts = h('div', { class: 'columns' }, requests.element, latency.element, tokens.element)
  const parts = h('div', { class: 'columns' }, health, pools)

  function draw(all: readonly PulseSecond[]): void {
    const of = (pick: (second: PulseSecond) => number | null): (number | null)[] => all.map(pick)
    requests.draw([
      { name: 'answered', values: of(second => second.requests - second.refused - second.failed) },
      { name: 'refused', values: of(second => second.refused) },
      { name: 'failed', values: of(second => second.failed) },
    ])
    latency.draw([
      { name: 'p50', values: of(second => second.p50_ms) },
      { name: 'p99', values: of(second => second.p99_ms) },
    ])
    tokens.draw([
      { name: 'input', values: of(second => second.input_tokens) },
      { name: 'output', values: of(second => second.output_tokens) },
    ])
  }

  function update(state: State): void {
    draw(state.seconds)
    fill(tiles, tilesOf(state))
    fill(health, h('h2', {}, 'Health'), healthOf(state))
    fill(pools, h('h2', {}, 'Pools'), poolsOf(state))
    const several = state.status?.workers ?? []
    workers.hidden = several.length === 0
    fill(workers, h('h2', {}, 'Workers'), workersOf(several))
    const shown = state.latest.slice(0, 8)
    fill(
      latest,
      h(
        'div',
        { class: 'head' },
        h('h2', {}, 'Latest decisions'),
        h('a', { href: '#/decisions' }, 'all of them'),
      ),
      shown.length > 0 ? decisionTable(shown) : empty('No request yet.'),
    )
  }

  return {
    title: 'Now',
    element: h(
      'div',
      { class: 'stack' },
      h('h1', { class: 'hidden' }, 'Now'),
      tiles,
      charts,
      parts,
      workers,
      latest,
    ),
    update,
  }
}

function tilesOf({ rates, status }: State): HTMLElement[] {
  const targets = Object.values(status?.pools ?? {}).flatMap(({ targets }) => targets)
  const inFlight = status && targets.reduce((sum, { in_flight }) => sum + in_flight, 0)
  const tiles: [string, string, string][] = [
    ['Requests', rate(rates?.requests_per_second), 'a second'],
    ['Refused', rate(rates?.refusals_per_second), 'a second'],
    ['Failed upstream', rate(rates?.failures_per_second), 'a second'],
    ['Latency, median', ms(rates?.p50_ms), ''],
    ['Latency, p99', ms(rates?.p99_ms), ''],
    ['Tokens in', rate(rates?.input_tokens_per_second), 'a second'],
    ['Tokens out', rate(rates?.output_tokens_per_second), 'a second'],
    ['In flight', count(inFlight), ''],
  ]
  return tiles.map(([name, value, unit]) =>
    h('div', {}, h('dt', {}, name), h('dd', {}, value, unit ? h('small', {}, unit) : null)),
  )
}

const CHECKS: Readonly<Record<string, string>> = {
  serving: 'serving',
  policy: 'policy in force',
  store: 'store answers',
  audit: 'audit log written',
  targets: 'a target is healthy',
}

function healthOf({ checks, status }: State): HTMLElement[] {
  const tags = Object.entries(checks ?? {}).map(([name, ok]) =>
    h('li', {}, tag(`${ok ? '✓' : '✗'} ${CHECKS[name] ?? name}`, ok ? 'good' : 'bad')),
  )
  const up = status
    ? h(
        'p',
        { class: 'quiet small' },
        `Version ${status.version}, up ${seconds(status.uptime_seconds)}, store: ${status.store.engine}.`,
      )
    : null
  return [h('ul', { class: 'tags' }, tags), ...(up ? [up] : [])]
}

const WORKER_COLUMNS = [
  { name: 'Worker', label: true },
  { name: 'State' },
  { name: 'Revision', label: true },
  { name: 'Process', number: true, label: true },
  { name: 'Restarts', number: true, label: true },
]

function workersOf(workers: readonly WorkerState[]): HTMLElement {
  const rows = workers.map(({ id, ready, revision, pid, restarts }) => [
    String(id),
    ready ? tag('takes requests', 'good') : tag('not ready', 'bad'),
    h('span', { class: 'mono' }, revision ?? 'none'),
    String(pid),
    String(restarts),
  ])
  return table('Processes that take requests', WORKER_COLUMNS, rows)
}

function poolsOf({ status }: State): HTMLElement {
  const rows = Object.entries(status?.pools ?? {}).map(([name, { targets }]) => {
    const healthy = targets.filter(target => target.healthy).length
    return h(
      'li',
      {},
      h('span', {}, h('a', { href: '#/pools' }, name), ' '),
      part(
        targets.length === 0 ? 0 : healthy / targets.length,
        healthy === targets.length ? 'bar' : 'bar near',
      ),
      h('span', { class: 'quiet' }, `${healthy} of ${targets.length} healthy`),
    )
  })
  return h('ul', { class: 'plain' }, rows)
}
