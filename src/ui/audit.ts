/** The audit log: whether it is written, how far its chain has come, and how to prove it. */
import { facts, fill, h, panel, tag } from './dom.ts'
import { count } from './format.ts'
import type { State, View } from './view.ts'

export function auditView(): View {
  const state = h('div')
  const sinks = h('div')
  return {
    title: 'Audit',
    element: h(
      'div',
      { class: 'stack' },
      h('h1', {}, 'Audit'),
      panel('The chain', state),
      sinks,
      panel(
        'Prove it',
        h(
          'p',
          { class: 'quiet small' },
          'Each line names the hash of the one before. What was changed, removed or cut off is named by file and line:',
        ),
        h('pre', { tabindex: '0' }, 'sallyport audit verify'),
      ),
    ),
    update({ status }: State) {
      if (!status) return
      const { ok, seq, lost = 0, sinks: parts = [] } = status.audit
      fill(
        state,
        facts([
          ['State', ok ? tag('written', 'good') : tag('cannot be written', 'bad')],
          ['Records', count(seq)],
          ['Not written', lost > 0 ? tag(`${count(lost)} answered without a record`, 'bad') : 'none'],
        ]),
      )
      fill(
        sinks,
        parts.length > 0
          ? panel(
              'Sinks',
              parts.map(sink =>
                facts(
                  Object.entries(sink).map(
                    ([name, value]) => [name.replaceAll('_', ' '), shown(value)] as const,
                  ),
                ),
              ),
            )
          : null,
      )
    },
  }
}

function shown(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
