/** Charts of the last minutes: areas that add up, or lines. */
import { fill, h, svg } from './dom.ts'

export interface Series {
  readonly name: string
  /** Null where there is nothing to show. */
  readonly values: readonly (number | null)[]
}

const WIDTH = 300
const HEIGHT = 100

export interface Chart {
  readonly element: HTMLElement
  draw(series: readonly Series[]): void
}

/** @param show - How a value is written. */
export function createChart(title: string, stacked: boolean, show: (value: number) => string): Chart {
  const legend = h('ul')
  const plot = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' })
  const top = h('span', { class: 'top', 'aria-hidden': 'true' })
  const element = h(
    'figure',
    { class: 'panel chart' },
    h('figcaption', {}, h('h2', {}, title), legend),
    h('div', { class: 'plot' }, plot, top),
    h('div', { class: 'span', 'aria-hidden': 'true' }, h('span', {}, '5 min ago'), h('span', {}, 'now')),
  )

  function draw(series: readonly Series[]): void {
    const columns = series[0]?.values.length ?? 0
    const sums = Array.from({ length: columns }, (_, at) =>
      stacked
        ? series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0)
        : Math.max(0, ...series.map(({ values }) => values[at] ?? 0)),
    )
    const most = niceCeiling(Math.max(0, ...sums))
    const x = (at: number): number => (columns < 2 ? 0 : (at / (columns - 1)) * WIDTH)
    const y = (value: number): number => HEIGHT - (value / most) * (HEIGHT - 4)
    const marks = [0.5, 1].map(part =>
      svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y(most * part), y2: y(most * part) }),
    )
    fill(plot, ...marks, ...(stacked ? areas(series, columns, x, y) : lines(series, x, y)))
    const latest = series.map(({ name, values }) => `${name} ${show(values.at(-1) ?? 0)}`)
    plot.setAttribute('aria-label', `${title}, the last five minutes. Now: ${latest.join(', ')}.`)
    top.textContent = show(most)
    fill(
      legend,
      series.map(({ name }, index) => h('li', { class: `s${index + 1}` }, name)),
    )
  }

  return { element, draw }
}

function areas(
  series: readonly Series[],
  columns: number,
  x: (at: number) => number,
  y: (value: number) => number,
): SVGElement[] {
  const below = new Array<number>(columns).fill(0)
  return series.map(({ values }, index) => {
    const bottom = below.map((value, at) => `${round(x(at))},${round(y(value))}`).reverse()
    values.forEach((value, at) => {
      below[at] = (below[at] ?? 0) + (value ?? 0)
    })
    const upper = below.map((value, at) => `${round(x(at))},${round(y(value))}`)
    return svg('polygon', { class: `area s${index + 1}`, points: [...upper, ...bottom].join(' ') })
  })
}

/** A second without a value is bridged: silence is no zero. */
function lines(
  series: readonly Series[],
  x: (at: number) => number,
  y: (value: number) => number,
): SVGElement[] {
  return series.map(({ values }, index) => {
    const points = values.flatMap((value, at) =>
      value === null ? [] : [`${round(x(at))},${round(y(value))}`],
    )
    return svg('polyline', { class: `stroke s${index + 1}`, points: points.join(' ') })
  })
}

function niceCeiling(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5, 10].find(step => step * power >= value) ?? 10) * power
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
