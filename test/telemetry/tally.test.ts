import { describe, expect, it } from 'vitest'
import { createCounter, createHistogram } from '../../src/telemetry/tally.ts'

describe('a counter', () => {
  it('is told with its labels in their order, an empty one left out', () => {
    const counter = createCounter({ name: 'x_total', help: 'Things', labels: ['a', 'b'] })
    counter.add(['1', 'two'])
    counter.add(['1', 'two'], 4)
    counter.add(['', 'two'])
    expect(counter.text()).toBe(
      '# HELP x_total Things\n# TYPE x_total counter\nx_total{a="1",b="two"} 5\nx_total{b="two"} 1\n',
    )
  })

  it('without labels is 0 before anything happened', () => {
    expect(createCounter({ name: 'x_total', help: 'Things', labels: [] }).text()).toContain('\nx_total 0\n')
  })

  /** A label that could end its line would let who names it write metrics of their own. */
  it('keeps quotes, backslashes and line feeds inside of their label', () => {
    const counter = createCounter({ name: 'x_total', help: 'Things', labels: ['a'] })
    counter.add(['"} 1\nevil_total 9\\'])
    expect(counter.text().split('\n')[2]).toBe('x_total{a="\\"} 1\\nevil_total 9\\\\"} 1')
  })

  it('tells labels apart that would be the same when joined', () => {
    const counter = createCounter({ name: 'x_total', help: 'Things', labels: ['a', 'b'] })
    counter.add(['1', '23'])
    counter.add(['12', '3'])
    expect(counter.text().match(/ 1$/gm)).toHaveLength(2)
  })
})

describe('a histogram', () => {
  it('counts each value in its bucket and all above, the upper end included', () => {
    const histogram = createHistogram({ name: 'x_seconds', help: 'Time', labels: ['a'] }, [0.1, 1])
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.add(['q'], value)
    expect(histogram.text().split('\n').slice(2, -1)).toEqual([
      'x_seconds_bucket{le="0.1",a="q"} 2',
      'x_seconds_bucket{le="1",a="q"} 3',
      'x_seconds_bucket{le="+Inf",a="q"} 4',
      'x_seconds_sum{a="q"} 7.65',
      'x_seconds_count{a="q"} 4',
    ])
  })
})
