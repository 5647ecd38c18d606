import { describe, expect, it } from 'vitest'
import { createWaitingLine, type Waiter } from '../../src/upstreams/waiting-line.ts'
import { chance } from '../support/random.ts'

interface Named extends Waiter {
  readonly name: string
}

const waiter = (name: string, priority = 0): Named => ({ name, principal: name.charAt(0), priority })
const lineOf = (max: number, ...names: (Named | string)[]) => {
  const line = createWaitingLine<Named>(() => max)
  for (const name of names) line.join(typeof name === 'string' ? waiter(name) : name)
  return line
}
/** Serves all, one after the other. */
function order(line: ReturnType<typeof lineOf>): string[] {
  const served: string[] = []
  for (;;) {
    const [next] = line.heads()
    if (!next) return served
    line.serve(next)
    served.push(next.name)
  }
}

describe('a waiting line', () => {
  it('serves one principal first come, first served', () => {
    expect(order(lineOf(9, 'a1', 'a2', 'a3'))).toEqual(['a1', 'a2', 'a3'])
  })

  it('lets principals take turns within a priority', () => {
    expect(order(lineOf(9, 'a1', 'a2', 'a3', 'b1', 'b2', 'c1'))).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  })

  it('serves a higher priority whole before a lower one', () => {
    const line = lineOf(
      9,
      waiter('a1', -1),
      waiter('b1', 0),
      waiter('c1', 9),
      waiter('c2', 9),
      waiter('d1', 0),
    )
    expect(order(line)).toEqual(['c1', 'c2', 'b1', 'd1', 'a1'])
  })

  it('lets go of who leaves, wherever he stands, and twice does no harm', () => {
    const line = lineOf(9)
    const all = ['a1', 'a2', 'b1'].map(name => waiter(name))
    for (const one of all) line.join(one)
    line.leave(all[0] as Named)
    line.leave(all[0] as Named)
    expect(line.size()).toBe(2)
    expect(order(line)).toEqual(['a2', 'b1'])
    expect(line.size()).toBe(0)
  })

  it('that is full refuses the newcomer', () => {
    const line = lineOf(2, 'a1', 'b1')
    const late = waiter('c1')
    expect(line.join(late)).toBe(late)
    expect(line.size()).toBe(2)
  })

  it('that may hold nobody refuses everybody', () => {
    const late = waiter('c1', 99)
    expect(lineOf(0).join(late)).toBe(late)
  })

  it('that is full sheds the latest of the lowest priority below zero for a higher one, never one of zero', () => {
    const line = lineOf(3, waiter('a1', -1), waiter('a2', -2), waiter('a3', -2))
    expect(line.join(waiter('b1', 0))?.name).toBe('a3')
    expect(line.join(waiter('b2', 0))?.name).toBe('a2')
    expect(line.join(waiter('b3', 5))?.name).toBe('a1')
    const late = waiter('b4', 9)
    expect(line.join(late)).toBe(late)
    const sheddable = waiter('c1', -1)
    expect(line.join(sheddable)).toBe(sheddable)
  })

  it('that one principal fills makes way for another, until each has as much', () => {
    const line = lineOf(4, 'a1', 'a2', 'a3', 'a4')
    expect(line.join(waiter('b1'))?.name).toBe('a4')
    expect(line.join(waiter('b2'))?.name).toBe('a3')
    const third = waiter('b3')
    expect(line.join(third)).toBe(third)
    expect(order(line)).toEqual(['a1', 'b1', 'a2', 'b2'])
  })

  it('does not let a low priority push out a high one, however crowded that is', () => {
    const line = lineOf(2, waiter('a1', 5), waiter('a2', 5))
    const low = waiter('b1', 0)
    expect(line.join(low)).toBe(low)
  })

  it('tells how many are served before a newcomer', () => {
    const line = lineOf(99, waiter('a1', 5), waiter('a2', 5), 'b1', 'b2', 'b3', 'c1', waiter('d1', -1))
    expect(line.ahead(waiter('x', 9))).toBe(0)
    expect(line.ahead(waiter('x', 0))).toBe(4)
    expect(line.ahead(waiter('b', 0))).toBe(6)
    expect(line.ahead(waiter('x', -5))).toBe(7)
  })

  it('starves nobody: however arrivals mix, each principal is served within a round of the others', () => {
    const random = chance(42)
    const line = lineOf(1000)
    const names = ['a', 'b', 'c', 'd']
    let sent = 0
    const waitingSince = new Map<string, number>()
    for (let round = 0; round < 5000; round++) {
      // `a` sends ten times as much as all others together.
      const name = random.integer(11) < 10 ? 'a' : random.pick(names)
      if (![...line.heads()].some(({ principal }) => principal === name)) waitingSince.set(name, round)
      line.join(waiter(`${name}${sent++}`))
      const [next] = line.heads()
      if (!next) continue
      line.serve(next)
      expect(round - (waitingSince.get(next.principal) ?? 0)).toBeLessThanOrEqual(names.length)
      waitingSince.set(next.principal, round)
    }
  })
})
