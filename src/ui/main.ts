/** The page: which view is looked at, and what all of them share. */
import { accessView } from './access.ts'
import { auditView } from './audit.ts'
import { decisionView } from './decision.ts'
import { decisionsView } from './decisions.ts'
import { fill, h } from './dom.ts'
import { limitsView } from './limits.ts'
import { nowView } from './now.ts'
import { policyView } from './policy.ts'
import { poolsView } from './pools.ts'
import { follow, forgetToken, get, isRefusedNow, keepToken } from './session.ts'
import type { Decision, Operator, PulseRates, PulseSecond, Status } from './types.ts'
import type { Page, State, View } from './view.ts'

const VIEWS = [
  ['now', 'Now'],
  ['decisions', 'Decisions'],
  ['pools', 'Pools'],
  ['policy', 'Policy'],
  ['limits', 'Limits'],
  ['access', 'Access'],
  ['audit', 'Audit'],
] as const

const KEPT_SECONDS = 300
const KEPT_DECISIONS = 20
const STATUS_EVERY_MS = 2000

const main = document.querySelector('main') as HTMLElement
const nav = document.querySelector('nav') as HTMLElement
const link = document.querySelector('.link') as HTMLElement

const state: State = { seconds: [], latest: [] }
const page: Page = { state, failed, refresh: () => void refresh() }
let view: View | undefined
let entering = false
let ends: (() => void)[] = []
let timer: number | undefined

function show(): void {
  if (entering) return
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [name = 'now', id] = path.split('/')
  view?.leave?.()
  view = viewOf(name, id, new URLSearchParams(query))
  document.title = `${view.title} – Sallyport`
  fill(main, view.element)
  drawNav(name)
  view.update?.(state)
}

function viewOf(name: string, id: string | undefined, query: URLSearchParams): View {
  if (name === 'decisions')
    return id ? decisionView(page, decodeURIComponent(id)) : decisionsView(page, query)
  if (name === 'pools') return poolsView()
  if (name === 'policy') return policyView(page)
  if (name === 'limits') return limitsView(page)
  if (name === 'access') return accessView(page)
  if (name === 'audit') return auditView()
  return nowView()
}

function drawNav(current: string): void {
  fill(
    nav,
    VIEWS.map(([name, title]) =>
      h('a', { href: `#/${name}`, 'aria-current': name === (current || 'now') ? 'page' : undefined }, title),
    ),
  )
  nav.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
}

function failed(error: unknown): void {
  if (isRefusedNow(error)) enter()
}

/** The token is asked for once, and kept for this tab. */
function enter(): void {
  if (entering) return
  const wrong = sessionStorage.length > 0
  entering = true
  stopAll()
  view?.leave?.()
  forgetToken()
  fill(nav)
  link.textContent = ''
  const input = h('input', { type: 'password', name: 'token', autocomplete: 'off', required: true })
  const form = h(
    'form',
    {
      class: 'panel enter',
      submit: event => {
        event.preventDefault()
        keepToken(input.value)
        entering = false
        start()
      },
    },
    h('h1', {}, 'Sallyport'),
    wrong ? h('p', { class: 'notice', role: 'alert' }, 'That token was not taken.') : null,
    h('label', {}, 'Admin token', input),
    h('p', { class: 'quiet small' }, 'It stays in this tab, and is gone when you close it.'),
    h('button', { class: 'main' }, 'Enter'),
  )
  fill(main, form)
  input.focus()
}

function setLive(live: boolean): void {
  const text = live ? 'live' : 'reconnecting…'
  if (link.textContent === text) return
  link.textContent = text
  link.dataset.live = live ? 'yes' : 'no'
}

async function refresh(): Promise<void> {
  window.clearTimeout(timer)
  try {
    const [status, ready] = await Promise.all([get<Status>('../status'), readiness()])
    state.status = status
    if (ready) state.checks = ready
    view?.update?.(state)
  } catch (error) {
    if (isRefusedNow(error)) return enter()
  }
  if (!entering) timer = window.setTimeout(() => void refresh(), STATUS_EVERY_MS)
}

/** Not ready is an answer, too. */
async function readiness(): Promise<State['checks']> {
  const response = await fetch('../readyz', { cache: 'no-store' })
  return ((await response.json()) as { checks?: State['checks'] }).checks
}

function onTraffic(event: string, data: string): void {
  if (event === 'snapshot') {
    const { seconds, last } = JSON.parse(data) as { seconds: PulseSecond[]; last: PulseRates }
    state.seconds = seconds
    state.rates = last
  } else if (event === 'second') {
    const { last, ...second } = JSON.parse(data) as PulseSecond & { last: PulseRates }
    state.seconds = [...state.seconds, second].slice(-KEPT_SECONDS)
    state.rates = last
  }
  view?.update?.(state)
}

function onDecision(decision: Decision): void {
  const others = state.latest.filter(({ decision_id }) => decision_id !== decision.decision_id)
  const known = others.length < state.latest.length
  if (known)
    state.latest = state.latest.map(one => (one.decision_id === decision.decision_id ? decision : one))
  else state.latest = [decision, ...others].slice(0, KEPT_DECISIONS)
}

function start(): void {
  setLive(false)
  ends = [
    follow('../live', {
      onEvent: ({ event, data }) => onTraffic(event, data),
      onState: setLive,
      onRefused: failed,
    }),
    follow(`../decisions?outcomes=true&limit=${KEPT_DECISIONS}`, {
      onEvent: ({ data }) => onDecision(JSON.parse(data) as Decision),
      onState: () => {},
      onRefused: failed,
    }),
  ]
  get<Operator>('../operator').then(
    operator => {
      state.operator = operator
      view?.update?.(state)
    },
    error => failed(error),
  )
  void refresh()
  show()
}

function stopAll(): void {
  for (const end of ends) end()
  ends = []
  window.clearTimeout(timer)
}

/** 1 to 7 are the views; / goes to the first filter, where there is one. */
function onKey(event: KeyboardEvent): void {
  const { target, key } = event
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog')) return
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return
  const wanted = VIEWS[Number(key) - 1]
  if (wanted) location.hash = `#/${wanted[0]}`
  else if (key === '/') {
    const filter = main.querySelector<HTMLInputElement>('form.filters input')
    if (!filter) return
    event.preventDefault()
    filter.focus()
  }
}

window.addEventListener('hashchange', () => {
  show()
  main.focus({ preventScroll: true })
  window.scrollTo(0, 0)
})
window.addEventListener('keydown', onKey)
document.querySelector('.skip')?.addEventListener('click', event => {
  // The part of the address after the hash says which view is shown.
  event.preventDefault()
  main.focus()
})
start()
