import { describe, expect, it } from 'vitest'
import { createRemembered } from '../../src/identity/remembered.ts'

describe('what is remembered', () => {
  it('is there until its time is over', () => {
    const remembered = createRemembered<number>()
    remembered.set('a', 1, 100)
    expect([remembered.get('a', 99), remembered.get('a', 100), remembered.get('a', 99)]).toEqual([
      1,
      undefined,
      undefined,
    ])
  })

  it('is bounded, whatever is presented', () => {
    const remembered = createRemembered<number>(100)
    for (let number = 0; number < 10_000; number++) remembered.set(`t${number}`, number, 1)
    const kept = Array.from({ length: 10_000 }, (_, number) => remembered.get(`t${number}`, 0)).filter(
      value => value !== undefined,
    )
    expect(kept.length).toBeLessThanOrEqual(200)
    expect(remembered.get('t9999', 0)).toBe(9999)
  })

  it('stays while it is asked for, however much else comes by', () => {
    const remembered = createRemembered<number>(100)
    remembered.set('mine', 1, 1)
    for (let number = 0; number < 10_000; number++) {
      remembered.set(`t${number}`, number, 1)
      expect(remembered.get('mine', 0)).toBe(1)
    }
  })

  it('is found for the whole credential only, however it ends', () => {
    const remembered = createRemembered<number>()
    const end = 'x'.repeat(100)
    remembered.set(`a${end}`, 1, 1)
    expect([remembered.get(`b${end}`, 0), remembered.get(end, 0)]).toEqual([undefined, undefined])
    expect(remembered.get(`a${end}`, 0)).toBe(1)
    remembered.set(`b${end}`, 2, 1)
    expect([remembered.get(`a${end}`, 0), remembered.get(`b${end}`, 0)]).toEqual([undefined, 2])
  })

  it('is gone when it is cleared', () => {
    const remembered = createRemembered<number>(1)
    remembered.set('a', 1, 1)
    remembered.set('b', 1, 1)
    remembered.clear()
    expect([remembered.get('a', 0), remembered.get('b', 0)]).toEqual([undefined, undefined])
  })
})
