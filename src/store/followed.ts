/**
 * Followed: what those who watch a shelf were told last, so that each is told of what changed and
 * of nothing else, however the changes became known.
 */
import type { Change, Kept } from '../contract/shelf.ts'

export interface Stamped<T> extends Kept<T> {
  /** Another one with every change, also of a document that was removed and made again. */
  readonly stamp: number
}

export interface Followed<T> {
  watch(onChange: (change: Change<T>) => void): { close(): void }
  watched(): boolean
  /** @param kept - What is kept under this id now. */
  see(id: string, kept: Stamped<T> | undefined): void
  /** @param all - All that is kept now. */
  seeAll(all: readonly Stamped<T>[]): void
}

export function createFollowed<T>(): Followed<T> {
  const watchers = new Set<(change: Change<T>) => void>()
  const told = new Map<string, number>()

  function see(id: string, kept: Stamped<T> | undefined): void {
    if (told.get(id) === kept?.stamp) return
    if (kept) told.set(id, kept.stamp)
    else told.delete(id)
    const change = kept ? { kept: { id, version: kept.version, value: kept.value } } : { removed: id }
    for (const onChange of watchers) onChange(change)
  }

  return {
    watched: () => watchers.size > 0,
    watch(onChange) {
      watchers.add(onChange)
      return { close: () => void watchers.delete(onChange) }
    },
    see,
    seeAll(all) {
      const here = new Set(all.map(({ id }) => id))
      for (const id of [...told.keys()]) if (!here.has(id)) see(id, undefined)
      for (const kept of all) see(kept.id, kept)
    },
  }
}
