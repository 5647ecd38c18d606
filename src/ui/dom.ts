/** Elements from words: no text of anybody's is ever read as markup. */

type Child = Node | string | number | null | undefined | false
export type Children = Child | readonly Child[]

type Attributes = Readonly<Record<string, string | number | boolean | ((event: Event) => void) | undefined>>

/** @param attributes - A function listens, `true` is there, `false` and undefined are not. */
export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Children[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name)
  setAll(element, attributes)
  fill(element, ...children)
  return element
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg(name: string, attributes: Attributes = {}, ...children: Children[]): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement
  setAll(element, attributes)
  fill(element, ...children)
  return element
}

/** Puts these in place of what was there. */
export function fill(element: Element, ...children: Children[]): void {
  element.replaceChildren(
    ...children
      .flat()
      .filter(child => child !== null && child !== undefined && child !== false)
      .map(child => (typeof child === 'number' ? String(child) : (child as Node | string))),
  )
}

function setAll(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value)
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value))
  }
}

/** A table with a caption for those who do not see it; each cell knows its column where rows become cards. */
export function table(
  caption: string,
  columns: readonly { readonly name: string; readonly number?: boolean; readonly label?: boolean }[],
  rows: readonly (readonly Children[])[],
): HTMLElement {
  const cell = (children: Children, index: number): HTMLElement => {
    const column = columns[index]
    const label = column?.label ? column.name : undefined
    return h('td', { class: column?.number ? 'number' : undefined, 'data-label': label }, children)
  }
  return h(
    'div',
    { class: 'scroll' },
    h(
      'table',
      { class: 'cards' },
      h('caption', { class: 'hidden' }, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map(({ name, number }) =>
            h('th', { scope: 'col', class: number ? 'number' : undefined }, name),
          ),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map(row => h('tr', {}, row.map(cell))),
      ),
    ),
  )
}

export function facts(pairs: readonly (readonly [string, Children])[]): HTMLElement {
  return h(
    'dl',
    { class: 'facts' },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== '')
      .flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  )
}

export function tag(text: string, mood: 'good' | 'bad' | 'warn' | 'plain' = 'plain'): HTMLElement {
  return h('span', { class: mood === 'plain' ? 'tag' : `tag ${mood}` }, text)
}

export function panel(title: string, ...children: Children[]): HTMLElement {
  return h('section', { class: 'panel' }, h('h2', {}, title), ...children)
}

export function empty(text: string): HTMLElement {
  return h('p', { class: 'empty' }, text)
}

/** @param share - From 0 to 1, of something that is used up. */
export function bar(share: number): HTMLElement {
  return part(share, share >= 1 ? 'bar full' : share >= 0.8 ? 'bar near' : 'bar')
}

/** @param share - From 0 to 1. */
export function part(share: number, name = 'bar'): HTMLElement {
  const inside = h('i')
  inside.style.width = `${Math.round(Math.min(1, Math.max(0, share)) * 100)}%`
  return h('span', { class: name, 'aria-hidden': 'true' }, inside)
}
