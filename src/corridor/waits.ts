/**
 * Waits: those who wait for a decision on a request for access, each for so long, and none of them
 * longer than the gateway runs.
 */
import type { Visit } from './visit.ts'

export interface Waits {
  /** @param ms - At most. */
  begin(id: string, ms: number, visit: Visit): Wait
  /** Ends all of them, now and from now on: the gateway is stopping. */
  end(): void
}

export interface Wait {
  /** No time is left, or whoever waits is gone. */
  over(): boolean
  /** Resolves when the request changes after this call, or when it is over. */
  change(): Promise<void>
  close(): void
}

export interface WaitsNeeds {
  changed(id: string): { readonly done: Promise<void>; cancel(): void }
  /** Calls once, after so many milliseconds, unless it is closed before. */
  after(ms: number, work: () => void): { close(): void }
}

export function createWaits({ changed, after }: WaitsNeeds): Waits {
  const running = new Set<() => void>()
  let stopping = false

  return {
    begin(id, ms, visit) {
      let over = stopping || visit.aborted || ms <= 0
      let cancel = (): void => {}
      const end = (): void => {
        over = true
        cancel()
      }
      const timer = after(ms, end)
      visit.onAbort = end
      running.add(end)
      return {
        over: () => over,
        change() {
          cancel()
          const change = changed(id)
          cancel = change.cancel
          if (over) cancel()
          return change.done
        },
        close() {
          end()
          timer.close()
          running.delete(end)
          visit.onAbort = undefined
        },
      }
    },
    end() {
      stopping = true
      for (const end of running) end()
    },
  }
}
