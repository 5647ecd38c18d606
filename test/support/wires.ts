/** Two ends of a wire in one process: what is sent comes later, in its order. */
import { setImmediate } from 'node:timers/promises'
import type { Port } from '../../src/workers/wire.ts'
import { chance } from './random.ts'

/** @param seed - How long each message takes, in turns of the event loop, is drawn from it. */
export function portPair(seed: number): { readonly one: Port; readonly other: Port; cut(): void } {
  const seeded = chance(seed)
  let open = true
  function direction(): { send(message: unknown): void; listen(listener: (message: unknown) => void): void } {
    const listeners: ((message: unknown) => void)[] = []
    let last: Promise<unknown> = Promise.resolve()
    return {
      send(message) {
        const copy = structuredClone(message)
        last = last.then(async () => {
          for (let turns = seeded.integer(3); turns > 0; turns--) await setImmediate()
          if (open) for (const listener of listeners) listener(copy)
        })
      },
      listen: listener => void listeners.push(listener),
    }
  }
  const [there, back] = [direction(), direction()]
  return {
    one: { send: there.send, onMessage: back.listen },
    other: { send: back.send, onMessage: there.listen },
    cut() {
      open = false
    },
  }
}
