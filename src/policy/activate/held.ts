/**
 * Held: the revision in force, and those that were lately, so that one of them can be put back.
 *
 * A bounded few. One that is not in force gives its memory back after a while, and takes it again when it
 * is asked.
 */
import type { Revision } from '../revision.ts'

export interface Held {
  inForce(): Revision | undefined
  /** Puts a new revision in force. */
  put(revision: Revision): void
  /** Puts one that is held back in force. */
  putBack(revision: Revision): void
  /** @param id - Without one: what was in force before. */
  earlier(id?: string): Revision | undefined
  /** What can be put back, the latest first. */
  ids(): string[]
  close(): void
}

const MOST_HELD = 5
/** Requests that began under a revision may still ask it. */
const GRACE_MS = 60_000

export function createHeld(): Held {
  let current: Revision | undefined
  /** With the one in force, by when each was in force last. */
  let held: Revision[] = []

  function swap(revision: Revision): void {
    const old = current
    current = revision
    if (old && old !== revision) setTimeout(() => release(old), GRACE_MS).unref()
  }

  function release(old: Revision): void {
    if (old !== current) old.close()
  }

  return {
    inForce: () => current,
    put(revision) {
      const others = held.filter(one => one !== current && one.id !== revision.id)
      const previous = current && current.id !== revision.id ? [current] : []
      held = [...others, ...previous, revision].slice(-MOST_HELD)
      swap(revision)
    },
    putBack: swap,
    earlier(id) {
      if (id !== undefined) return held.find(one => one.id === id && one !== current)
      return current && held[held.indexOf(current) - 1]
    },
    ids: () =>
      held
        .filter(one => one !== current)
        .map(one => one.id)
        .reverse(),
    close: () => current?.close(),
  }
}
