/** Just-in-time access: requests that wait, to approve or deny where that is the operator's right. */
import { ask } from './confirm.ts'
import { empty, facts, fill, h, tag } from './dom.ts'
import { ago, moment } from './format.ts'
import { get, post, Refused } from './session.ts'
import type { AccessRequest } from './types.ts'
import type { Page, View } from './view.ts'

const ASKED_EVERY_MS = 3000

export function accessView(page: Page): View {
  const list = h('div', { class: 'stack' })
  const said = h('p', { role: 'status', class: 'quiet' })
  let timer: number | undefined
  let drawn = ''

  async function load(): Promise<void> {
    try {
      const { requests } = await get<{ requests: AccessRequest[] }>('../access/requests')
      const seen = JSON.stringify([requests, page.state.operator?.role])
      if (seen !== drawn) draw(requests)
      drawn = seen
      timer = window.setTimeout(() => void load(), ASKED_EVERY_MS)
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) return page.failed(error)
      fill(
        list,
        h('div', { class: 'panel' }, empty('This gateway does not offer just-in-time access to operators.')),
      )
    }
  }

  function draw(requests: readonly AccessRequest[]): void {
    const waiting = requests.filter(({ state }) => state === 'pending')
    const others = requests.filter(({ state }) => state !== 'pending')
    fill(
      list,
      waiting.length > 0
        ? waiting.map(card)
        : h('div', { class: 'panel' }, empty('Nobody waits for access.')),
      others.length > 0 ? h('h2', {}, 'Decided') : null,
      others.slice(0, 20).map(card),
    )
  }

  async function decide(request: AccessRequest, what: 'approve' | 'deny'): Promise<void> {
    const question = `${what === 'approve' ? 'Approve' : 'Deny'} ${request.models.join(', ')} for ${who(request)}?`
    const comment = await ask(question, 'Comment')
    if (comment === undefined) return
    try {
      await post(`../access/requests/${encodeURIComponent(request.id)}/${what}`, comment ? { comment } : {})
      said.textContent = what === 'approve' ? 'Approved.' : 'Denied.'
    } catch (error) {
      said.textContent = (error as Error).message
    }
    window.clearTimeout(timer)
    void load()
  }

  function card(request: AccessRequest): HTMLElement {
    const { state, models, roles = [], duration, reason, ticket, created_at, pending_until } = request
    const mine = state === 'pending' && page.state.operator?.role === 'operate'
    return h(
      'section',
      { class: 'panel', 'aria-label': `Request of ${who(request)}` },
      h(
        'div',
        { class: 'head' },
        h('h3', {}, `${who(request)} asks for ${models.join(', ')}`),
        tag(state, state === 'pending' ? 'warn' : state === 'approved' ? 'good' : 'plain'),
      ),
      facts([
        ['For', duration],
        ['Roles', roles.join(', ')],
        ['Reason', reason ?? null],
        ['Ticket', ticket ?? null],
        ['Asked', `${ago(created_at)} (${moment(created_at)})`],
        ['Waits until', state === 'pending' && pending_until ? moment(pending_until) : null],
      ]),
      mine
        ? h(
            'div',
            { class: 'buttons' },
            h(
              'button',
              { class: 'main', type: 'button', click: () => void decide(request, 'approve') },
              'Approve',
            ),
            h('button', { type: 'button', click: () => void decide(request, 'deny') }, 'Deny'),
          )
        : null,
    )
  }

  void load()
  return {
    title: 'Access',
    element: h('div', { class: 'stack' }, h('h1', {}, 'Access'), said, list),
    leave: () => window.clearTimeout(timer),
  }
}

function who({ requested_by }: AccessRequest): string {
  return typeof requested_by === 'string' ? requested_by : (requested_by.id ?? 'somebody')
}
