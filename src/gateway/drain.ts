/**
 * Draining: what runs may finish within a time, then is ended in its own protocol.
 */
import type { Pipeline } from '../corridor/pipeline.ts'
import type { PublicListener } from '../server/public-listener.ts'

/** How long an answer that was ended in its protocol may take to reach its client. */
const LAST_WORDS_MS = 1000
const LOOK_EVERY_MS = 20

/** @returns When no connection is left, and all that they asked is on record. */
export async function drain(listener: PublicListener, pipeline: Pipeline, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  const closed = listener.close()
  await quiet(pipeline, withinMs)
  if (pipeline.running() > 0) {
    pipeline.drain()
    await quiet(pipeline, LAST_WORDS_MS)
  }
  // What is answered may still be on its way to a client that reads slowly.
  await Promise.race([closed, after(Math.max(LAST_WORDS_MS, until - performance.now()))])
  listener.closeAllConnections()
  await closed
  // Who came on an old connection at the last moment, and left again, is still to be put on record.
  await quiet(pipeline, LAST_WORDS_MS)
}

function after(ms: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, ms).unref())
}

function quiet(pipeline: Pipeline, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  return new Promise(resolve => {
    const look = (): void => {
      if (pipeline.running() === 0 || performance.now() >= until) resolve()
      else setTimeout(look, LOOK_EVERY_MS)
    }
    look()
  })
}
