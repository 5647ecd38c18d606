/**
 * The store of one gateway that keeps nothing over a restart.
 */
import type { Change, Kept, Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import type { UsageBook } from '../contract/usage.ts'
import type { Store } from './store.ts'
import { createUsageSums } from './usage-sums.ts'

export interface MemoryStoreNeeds {
  /** Milliseconds since the epoch. */
  now(): EpochMs
}

export function createMemoryStore({ now }: MemoryStoreNeeds): Store {
  const shelves = new Map<string, Shelf<unknown>>()
  return {
    engine: 'memory',
    ok: () => true,
    usage: createUsageBook(),
    shelf<T>(name: string): Shelf<T> {
      const known = shelves.get(name)
      if (known) return known as Shelf<T>
      const shelf = createShelf<T>(now)
      shelves.set(name, shelf as Shelf<unknown>)
      return shelf
    },
    close: async () => shelves.clear(),
  }
}

function createUsageBook(): UsageBook {
  const sums = createUsageSums()
  return {
    add: sums.add,
    since: async day => sums.rows().filter(row => row.day >= day),
  }
}

interface Held {
  /** As text, so that nobody holds what is kept and changes it. */
  readonly text: string
  readonly version: number
  readonly keepUntil: EpochMs
}

function createShelf<T>(now: () => EpochMs): Shelf<T> {
  const documents = new Map<string, Held>()
  const watchers = new Set<(change: Change<T>) => void>()

  function held(id: string): Held | undefined {
    const document = documents.get(id)
    if (!document || now() < document.keepUntil) return document
    documents.delete(id)
    return undefined
  }

  function kept(id: string, { text, version }: Held): Kept<T> {
    return { id, version, value: JSON.parse(text) as T }
  }

  function tell(change: Change<T>): void {
    for (const onChange of watchers) onChange(change)
  }

  return {
    async get(id) {
      const document = held(id)
      return document && kept(id, document)
    },
    async all() {
      return [...documents.keys()].flatMap(id => {
        const document = held(id)
        return document ? [kept(id, document)] : []
      })
    },
    async put(id, value, version, keepUntil = Number.POSITIVE_INFINITY) {
      if ((held(id)?.version ?? 0) !== version) return undefined
      const document = { text: JSON.stringify(value), version: version + 1, keepUntil }
      documents.set(id, document)
      tell({ kept: kept(id, document) })
      return kept(id, document)
    },
    async remove(id, version) {
      if (held(id)?.version !== version) return false
      documents.delete(id)
      tell({ removed: id })
      return true
    },
    watch(onChange) {
      watchers.add(onChange)
      return { close: () => watchers.delete(onChange) }
    },
  }
}
