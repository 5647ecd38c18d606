/** The policy: what is in force, what was tried, and what a candidate would have done. */
import { confirmed } from './confirm.ts'
import { empty, facts, fill, h, panel, table, tag } from './dom.ts'
import { ago, count, moment, ms } from './format.ts'
import { post } from './session.ts'
import type { Attempt, CandidateStatus, Diagnostic, PolicyStatus, Verdict } from './types.ts'
import type { Page, State, View } from './view.ts'

export function policyView(page: Page): View {
  const inForce = h('section', { class: 'panel' })
  const candidate = h('div')
  const history = h('section', { class: 'panel' })
  const said = h('p', { role: 'status', class: 'quiet small' })
  let drawn = ''

  async function change(question: string, path: string, body: object, done: string): Promise<void> {
    if (!(await confirmed(question))) return
    said.textContent = 'Asked…'
    try {
      await post(path, body)
      said.textContent = done
    } catch (error) {
      said.textContent = (error as Error).message
      page.failed(error)
    }
    page.refresh()
  }

  const reload = (): Promise<void> =>
    change('Look at the policy’s source now?', '../policy/reload', {}, 'The source was looked at.')
  const rollback = (revision: string): Promise<void> =>
    change(`Put ${revision} back in force?`, '../policy/rollback', { revision }, `${revision} is in force.`)

  function buttons(policy: PolicyStatus, operates: boolean): HTMLElement | null {
    if (!operates) return null
    return h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'button', click: () => void reload() }, 'Look now'),
      (policy.held ?? []).map(revision =>
        h(
          'button',
          { type: 'button', click: () => void rollback(revision) },
          `Roll back to ${shortened(revision)}`,
        ),
      ),
    )
  }

  function update({ status, operator }: State): void {
    if (!status) return
    const { policy } = status
    const operates = operator?.role === 'operate'
    // Drawn again only when something changed, so that what is opened or held stays so.
    const seen = JSON.stringify([policy.revision, policy.attempts, policy.candidate, policy.held, operates])
    fillAges(policy)
    if (seen === drawn) return
    drawn = seen
    fill(inForce, h('div', { class: 'head' }, h('h2', {}, 'In force'), buttons(policy, operates)), ages, said)
    fill(candidate, policy.candidate ? candidatePanel(policy.candidate) : null)
    fill(
      history,
      h('h2', {}, 'Attempts to change it, the latest first'),
      policy.attempts.length > 0
        ? h('ol', { class: 'history' }, policy.attempts.map(attemptItem))
        : empty('None yet.'),
    )
  }

  const ages = h('div')
  function fillAges(policy: PolicyStatus): void {
    fill(
      ages,
      facts([
        [
          'Revision',
          policy.revision ? h('code', {}, policy.revision) : tag('none: everything is refused', 'bad'),
        ],
        [
          'Activated',
          policy.activated_at ? `${ago(policy.activated_at)} (${moment(policy.activated_at)})` : null,
        ],
        ['Confirmed', policy.confirmed_at ? ago(policy.confirmed_at) : null],
        ['Last looked', policy.checked_at ? ago(policy.checked_at) : null],
        ['Rolled back from', policy.rolled_back_from ? h('code', {}, policy.rolled_back_from) : null],
      ]),
    )
  }

  return {
    title: 'Policy',
    element: h('div', { class: 'stack' }, h('h1', {}, 'Policy'), inForce, history, candidate),
    update,
  }
}

function attemptItem({ at, outcome, revision, steps, diagnostics, from }: Attempt): HTMLElement {
  const took = steps.reduce((sum, step) => sum + step.ms, 0)
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'head' },
      h(
        'span',
        {},
        tag(outcome, outcome === 'activated' ? 'good' : 'bad'),
        ' ',
        revision ? h('code', {}, revision) : null,
        from === 'last_good' ? ' from the last good bundle' : null,
      ),
      h('span', { class: 'quiet small' }, `${moment(at)}, ${ms(took)}`),
    ),
    steps.length > 0
      ? h('p', { class: 'steps' }, steps.map(({ name, ms: took }) => `${name} ${ms(took)}`).join(' · '))
      : null,
    diagnostics.map(findingBox),
  )
}

function findingBox({ file, line, column, message, code }: Diagnostic): HTMLElement {
  const place = line > 0 ? `${file}:${line}:${column}` : file
  return h(
    'p',
    { class: 'finding' },
    h('code', {}, place),
    ` ${message}`,
    code ? h('span', { class: 'quiet small' }, ` ${code}`) : null,
  )
}

const FLIPS = [
  { name: 'Principal' },
  { name: 'Model' },
  { name: 'In force' },
  { name: 'CandidateStatus', label: true },
  { name: 'When' },
]

const MOST_EXAMPLES = 8

function candidatePanel({ revision, decided, flips, mean_us, examples = [] }: CandidateStatus): HTMLElement {
  return panel(
    'CandidateStatus, asked beside it and never obeyed',
    facts([
      ['Revision', revision ? h('code', {}, revision) : 'none that could be asked'],
      ['Would flip', `${count(flips)} of ${count(decided)} decisions`],
      ['Costs', typeof mean_us === 'number' ? `${Math.round(mean_us)} µs a request` : null],
    ]),
    examples.length > 0
      ? table(
          'Decisions that the candidate would have made otherwise',
          FLIPS,
          examples
            .slice(0, MOST_EXAMPLES)
            .map(({ decision_id, principal, model, in_force, candidate, at }) => [
              principal,
              model ?? '',
              verdictTag(in_force),
              verdictTag(candidate),
              h('a', { href: `#/decisions/${decision_id}` }, ago(at)),
            ]),
        )
      : null,
  )
}

function verdictTag({ allow, code, rule }: Verdict): HTMLElement {
  const why = allow ? rule : code
  return tag(`${allow ? 'allow' : 'refuse'}${why ? `: ${why}` : ''}`, allow ? 'good' : 'bad')
}

function shortened(revision: string): string {
  return revision.length > 14 ? `${revision.slice(0, 12)}…` : revision
}
