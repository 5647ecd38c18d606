import { describe, expect, it } from 'vitest'
import { endingOf, protocolOf } from '../../src/upstreams/stream-protocol.ts'

const of = (type: string | undefined) =>
  protocolOf({ header: name => (name === 'content-type' ? type : undefined) })

describe('protocolOf', () => {
  it.each([
    ['text/event-stream', 'sse'],
    ['text/event-stream; charset=utf-8', 'sse'],
    ['Text/Event-Stream', 'sse'],
    ['application/x-ndjson', 'ndjson'],
    ['application/ndjson', 'ndjson'],
    ['application/json', undefined],
    ['text/plain', undefined],
    [undefined, undefined],
  ])('reads %s as %s', (type, protocol) => {
    expect(of(type)).toBe(protocol)
  })
})

describe('endingOf', () => {
  /** As a reader of server-sent events splits them. */
  const events = (text: string): string[] => text.split('\n\n').filter(Boolean)

  it.each(['upstream_failed', 'expired', 'drained', 'revoked'] as const)(
    'says %s as an error event that an SDK raises from',
    why => {
      const ending = endingOf('sse', why, true) ?? ''
      const [event = '', ...more] = events(ending)
      expect(more).toEqual([])
      const { error } = JSON.parse(event.trimStart().replace(/^data: /, ''))
      expect(error).toMatchObject({
        message: expect.any(String),
        type: expect.any(String),
        code: expect.any(String),
        param: null,
      })
      expect(ending.endsWith('\n\n')).toBe(true)
      expect(ending).not.toContain('[DONE]')
    },
  )

  it('closes half an event first, so that the error is one of its own', () => {
    const stream = `data: {"choices":[{"delta":{"content":"hel${endingOf('sse', 'expired', false)}`
    const last = events(stream).at(-1) ?? ''
    expect(JSON.parse(last.replace(/^data: /, ''))).toHaveProperty('error')
  })

  it('says it to Ollama as a line with an error', () => {
    expect(JSON.parse(endingOf('ndjson', 'expired', true) ?? '')).toHaveProperty('error')
    const lines = `{"message":{"content":"hel${endingOf('ndjson', 'expired', false)}`.split('\n')
    expect(JSON.parse(lines[1] ?? '')).toHaveProperty('error')
  })

  it('has nothing to say where no protocol can say it', () => {
    expect(endingOf(undefined, 'expired', true)).toBeUndefined()
  })
})
