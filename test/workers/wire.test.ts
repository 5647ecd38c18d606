import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createWire } from '../../src/workers/wire.ts'
import { portPair } from '../support/wires.ts'

interface Answers {
  double(number: number): Promise<number>
  refuse(): void
}
interface Notices {
  note(word: string): void
}

function ends() {
  const { one, other } = portPair(7)
  const noted: string[] = []
  const asking = createWire<Answers, Notices, object, object>(one, {}, {})
  createWire<object, object, Answers, Notices>(
    other,
    {
      double: async number => {
        noted.push(`double ${number}`)
        return number * 2
      },
      refuse() {
        throw new Error('not now')
      },
    },
    { note: word => void noted.push(word) },
  )
  return { asking, noted }
}

describe('a wire', () => {
  it('brings each answer to who asked, and what was sent in its order', async () => {
    const { asking, noted } = ends()
    asking.tell('note', 'first')
    const answers = Promise.all([1, 2, 3].map(number => asking.ask('double', number)))
    asking.tell('note', 'last')
    expect(await answers).toEqual([2, 4, 6])
    await expect(asking.ask('refuse')).rejects.toThrow('not now')
    expect(noted).toEqual(['first', 'double 1', 'double 2', 'double 3', 'last'])
  })

  it('takes nothing any more from one that is gone', async () => {
    const { one, other } = portPair(3)
    const noted: string[] = []
    const hearing = createWire<object, object, object, Notices>(
      one,
      {},
      { note: word => void noted.push(word) },
    )
    const telling = createWire<object, Notices, object, object>(other, {}, {})
    telling.tell('note', 'early')
    await expect.poll(() => noted).toEqual(['early'])
    telling.tell('note', 'late')
    hearing.close('it has ended')
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    expect(noted).toEqual(['early'])
  })

  it('tells who waits, and who asks later, that the other one is gone', async () => {
    const { asking } = ends()
    const waiting = asking.ask('double', 1)
    asking.close('it has ended')
    await expect(waiting).rejects.toThrow('it has ended')
    await expect(asking.ask('double', 2)).rejects.toThrow('it has ended')
  })
})
