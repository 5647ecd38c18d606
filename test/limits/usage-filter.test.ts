import { describe, expect, it } from 'vitest'
import { createUsageFilter } from '../../src/limits/usage-filter.ts'

function filtered(parts: readonly string[]): string {
  const filter = createUsageFilter()
  const passed = parts.map(part => filter.push(Buffer.from(part)).toString())
  return passed.join('') + filter.end().toString()
}

const WORD = '{"choices":[{"delta":{"content":"ü"}}]}'
const ALONE = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'

describe.each([
  ['line feeds', '\n\n'],
  ['carriage returns', '\r\n\r\n'],
])('a stream whose usage was not asked for, with %s', (_ending, end) => {
  const stream = `data: ${WORD}${end}data: ${ALONE}${end}data: [DONE]${end}`
  const expected = `data: ${WORD}${end}data: [DONE]${end}`

  it('is without it, wherever it is cut', () => {
    for (let at = 0; at <= stream.length; at++) {
      expect(filtered([stream.slice(0, at), stream.slice(at)]), `cut at ${at}`).toBe(expected)
    }
  })

  it('passes each event as soon as it is whole', () => {
    const filter = createUsageFilter()
    expect(filter.push(Buffer.from(`data: ${WORD}${end}data: {`)).toString()).toBe(`data: ${WORD}${end}`)
  })
})

describe('an event with other things in it', () => {
  it.each([
    [
      'last',
      '{"choices":[{"delta":{"content":"a"}}],"usage":null}',
      '{"choices":[{"delta":{"content":"a"}}]}',
    ],
    ['first', '{"usage": null, "choices":[]}', '{ "choices":[]}'],
    ['between', '{"choices":[], "usage": null,"x":1}', '{"choices":[],"x":1}'],
  ])('loses a null usage that stands %s', (_where, event, expected) => {
    expect(filtered([`data: ${event}\n\n`])).toBe(`data: ${expected}\n\n`)
  })

  it.each([
    '{"choices":[{"delta":{"content":",\\"usage\\":null}"}}]}',
    '{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}',
  ])('keeps the rest as it came: %s', event => {
    expect(filtered([`data: ${event}\n\n`])).toBe(`data: ${event}\n\n`)
  })
})
