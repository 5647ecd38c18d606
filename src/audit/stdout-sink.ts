/**
 * Records on standard output, for whoever collects it. Whole lines, in order: what a full pipe did not take
 * of a batch goes out before the next one.
 */
import { writeSync } from 'node:fs'
import type { Sink } from './log.ts'

const STDOUT = 1
/** How long a reader that does not keep up is waited for, in all, before the record counts as not written. */
const PATIENCE_MS = 250
const PAUSE_MS = 5

export function createStdoutSink(fd = STDOUT): Sink {
  let owed: Buffer = Buffer.alloc(0)
  const pause = new Int32Array(new SharedArrayBuffer(4))

  /** @returns What was not taken. */
  function put(bytes: Buffer): Buffer {
    let rest = bytes
    for (let waited = 0; rest.length > 0; ) {
      try {
        rest = rest.subarray(writeSync(fd, rest))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        if (waited >= PATIENCE_MS) return rest
        Atomics.wait(pause, 0, 0, PAUSE_MS)
        waited += PAUSE_MS
      }
    }
    return rest
  }

  return {
    append(lines) {
      owed = Buffer.from(put(owed))
      if (owed.length > 0) throw new Error('nobody reads standard output')
      const rest = put(lines)
      if (rest.length === lines.length) throw new Error('nobody reads standard output')
      // Once it is begun it is sent: half a line could not be taken back.
      owed = Buffer.from(rest)
    },
    async close() {
      try {
        put(owed)
      } catch {
        // Nobody is left to read it.
      }
    },
  }
}
