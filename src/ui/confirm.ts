/** Asks before something is changed. */
import { h } from './dom.ts'

export function confirmed(question: string): Promise<boolean> {
  return ask(question).then(answer => answer !== undefined)
}

/** @returns what was written; undefined when it was thought better of. */
export function ask(question: string, field?: string): Promise<string | undefined> {
  const input = field === undefined ? undefined : h('input', { name: 'answer', autocomplete: 'off' })
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'question' },
    h(
      'form',
      { method: 'dialog' },
      h('p', { id: 'question' }, question),
      input && field ? h('label', {}, field, input) : null,
      h(
        'div',
        { class: 'buttons' },
        h('button', { class: 'main', value: 'yes' }, 'Yes'),
        h('button', { value: 'no', formnovalidate: true }, 'No'),
      ),
    ),
  )
  document.body.append(dialog)
  dialog.showModal()
  return new Promise(resolve => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes' ? (input?.value ?? '') : undefined)
    })
  })
}
