/**
 * Virtual time: things happen in the order of their moments, and nobody waits for them.
 */
import type { Deadlines, Watched } from '../../src/upstreams/deadlines.ts'

export interface Clock {
  now(): number
  /** @param ms - From now. */
  after(ms: number, happens: () => void): void
  /** Runs until nothing is left to happen. */
  run(): Promise<void>
  /** As the gateway's, which looks ten times a second. */
  readonly deadlines: Deadlines
}

interface Event {
  readonly at: number
  readonly order: number
  happens(): void
}

const TICK_MS = 100

export function createClock(): Clock {
  const heap: Event[] = []
  const watching = new Set<Watched>()
  let now = 0
  let order = 0
  let ticking = false

  const before = (one: Event, other: Event): boolean =>
    one.at < other.at || (one.at === other.at && one.order < other.order)

  function push(event: Event): void {
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  function pop(): Event | undefined {
    const [first] = heap
    const last = heap.pop()
    if (!last || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
      if (!before(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
    return first
  }

  function after(ms: number, happens: () => void): void {
    push({ at: now + ms, order: order++, happens })
  }

  function tick(): void {
    for (const watched of [...watching]) {
      if (!watching.has(watched) || now < watched.dueAt) continue
      watching.delete(watched)
      watched.onDue(now)
    }
    ticking = watching.size > 0
    if (ticking) after(TICK_MS, tick)
  }

  return {
    now: () => now,
    after,
    async run() {
      for (let event = pop(); event; event = pop()) {
        now = event.at
        event.happens()
        // What was promised by this event is kept before the next one.
        for (let turn = 0; turn < 4; turn++) await undefined
      }
    },
    deadlines: {
      watch(watched) {
        watching.add(watched)
        if (ticking) return
        ticking = true
        after(TICK_MS, tick)
      },
      forget: watched => void watching.delete(watched),
    },
  }
}
