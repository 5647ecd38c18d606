/**
 * Linger: leaves a call whose answer nobody wants any more, and reads what the server had sent before it
 * noticed, so that it can be counted. For a moment, and no more than so much: then it is cut.
 */
import type { Head } from './attempt.ts'
import type { AnswerReader } from './call.ts'
import type { Deadlines, Watched } from './deadlines.ts'

/** Servers notice within a few milliseconds; one that does not is not waited for. Less than a stopping gateway has. */
export const LINGER_MS = 500
const MOST_BYTES = 4 * 1024 * 1024

export interface LingerNeeds {
  readonly deadlines: Deadlines
  now(): number
  count(part: Buffer): void
  /** Called once: nothing more is counted. */
  onOver(): void
}

/** @param readWith - Given what is to read the rest: some of it may be there already, and comes at once. */
export function linger(
  { answer, readUntil, call }: Head,
  { deadlines, now, count, onOver }: LingerNeeds,
  readWith: (reader: AnswerReader) => void,
): void {
  let bytes = 0
  let open = true
  const watched: Watched = { dueAt: readUntil ?? now() + LINGER_MS, onDue: cut }

  function over(): void {
    if (!open) return
    open = false
    deadlines.forget(watched)
    onOver()
  }

  function cut(): void {
    call.abort()
    over()
  }

  function onPart(part: Buffer): void {
    if (!open) return
    count(part)
    bytes += part.length
    if (bytes > MOST_BYTES) cut()
  }

  deadlines.watch(watched)
  readWith({ onPart, onEnd: over, onBroken: over })
  if (readUntil !== undefined || call.leave()) answer.resume()
  else over()
}
