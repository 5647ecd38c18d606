import { describe, expect, it } from 'vitest'
import {
  newSpanId,
  newTraceContext,
  readTraceContext,
  traceparent,
} from '../../src/telemetry/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('a traceparent', () => {
  it('is read, and written with a parent of our own', () => {
    const context = readTraceContext(`00-${TRACE}-${SPAN}-01`, 'rojo=1')
    expect(context).toEqual({ traceId: TRACE, parentId: SPAN, sampled: true, state: 'rojo=1' })
    expect(context && traceparent(context, 'b7ad6b7169203331')).toBe(`00-${TRACE}-b7ad6b7169203331-01`)
  })

  it('of a later version is read as far as it is known', () => {
    expect(readTraceContext(`cc-${TRACE}-${SPAN}-09-what-the-future-holds`)).toMatchObject({ sampled: true })
  })

  it.each([
    ['is missing', undefined],
    ['is of the version that is none', `ff-${TRACE}-${SPAN}-01`],
    ['has a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['has a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['is in capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['goes on where it may not', `00-${TRACE}-${SPAN}-01-more`],
    ['came twice', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['is short', `00-${TRACE}-${SPAN}`],
  ])('that %s is none', (_name, text) => {
    expect(readTraceContext(text, 'rojo=1')).toBeUndefined()
  })

  it('without room for its state goes on without', () => {
    expect(readTraceContext(`00-${TRACE}-${SPAN}-00`, 'x'.repeat(513))).toMatchObject({ state: undefined })
  })

  it('is made of chance where a trace begins', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => newTraceContext(true).traceId))
    expect(ids.size).toBe(1000)
    expect(newSpanId()).toMatch(/^[0-9a-f]{16}$/)
  })
})
