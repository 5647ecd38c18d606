/**
 * Slots: how many generations run at the same time; the others wait their turn, first come first served.
 */
export interface Slots {
  /** Resolves when a slot is free; rejects when the one who waits has gone. */
  take(signal: AbortSignal): Promise<void>
  free(): void
}

/** @param changed - Told how many wait and how many run, whenever that changes. */
export function createSlots(size: number, changed: (waiting: number, running: number) => void): Slots {
  const queue = new Set<() => void>()
  let taken = 0

  function enter(): void {
    taken++
    changed(queue.size, taken)
  }

  async function take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return taken < size ? enter() : wait(signal)
  }

  function wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      function turn(): void {
        signal.removeEventListener('abort', leave)
        queue.delete(turn)
        enter()
        resolve()
      }
      function leave(): void {
        queue.delete(turn)
        changed(queue.size, taken)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      queue.add(turn)
      changed(queue.size, taken)
    })
  }

  function free(): void {
    taken--
    const [next] = queue
    if (next) next()
    else changed(queue.size, taken)
  }

  return { take, free }
}
