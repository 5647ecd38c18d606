import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Roster, type Rostered } from '../../src/contract/roster.ts'

interface Item extends Rostered {
  readonly name: number
}

const item = (name: number): Item => ({ name })
const namesOn = (roster: Roster<Item>): number[] => [...roster].map(({ name }) => name).sort((a, b) => a - b)

describe('a roster', () => {
  it('holds what a Set would, whatever comes and goes', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(7)), { maxLength: 60 })
    fc.assert(
      fc.property(steps, taken => {
        const items = Array.from({ length: 8 }, (_, name) => item(name))
        const roster = new Roster<Item>()
        const set = new Set<number>()
        for (const [comes, name] of taken) {
          if (comes) {
            roster.add(items[name] as Item)
            set.add(name)
          } else {
            roster.delete(items[name] as Item)
            set.delete(name)
          }
          expect(roster.size).toBe(set.size)
          expect(namesOn(roster)).toEqual([...set].sort((a, b) => a - b))
          for (const each of items) expect(roster.has(each)).toBe(set.has(each.name))
        }
      }),
    )
  })

  it('is gone through as it was, whatever happens on the way', () => {
    const roster = new Roster<Item>()
    const items = [item(0), item(1), item(2)]
    for (const each of items) roster.add(each)
    const seen: number[] = []
    for (const each of roster) {
      seen.push(each.name)
      for (const other of items) roster.delete(other)
      roster.add(item(9))
    }
    expect(seen).toEqual([0, 1, 2])
    expect(namesOn(roster)).toEqual([9, 9, 9])
  })
})
