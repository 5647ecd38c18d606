/**
 * A shelf in an SQLite file. What other processes write is found by looking at what is there now.
 */
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { createFollowed, type Stamped } from './followed.ts'
import type { Row, Sql } from './sql.ts'

export interface SqliteShelf<T> extends Shelf<T> {
  /** Somebody else wrote: tells those who watch what changed. */
  look(): void
}

export function createSqliteShelf<T>(sql: Sql, name: string, now: () => EpochMs): SqliteShelf<T> {
  const followed = createFollowed<T>()
  const one = sql.prepare(`SELECT * FROM documents WHERE shelf = ? AND id = ? AND ${ALIVE}`)
  const every = sql.prepare(`SELECT * FROM documents WHERE shelf = ? AND ${ALIVE}`)
  const nextStamp = sql.prepare('UPDATE stamps SET last = last + 1 RETURNING last')
  const write = sql.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?, ?)')
  const erase = sql.prepare('DELETE FROM documents WHERE shelf = ? AND id = ?')
  const eraseOld = sql.prepare('DELETE FROM documents WHERE shelf = ? AND keep_until <= ?')

  const read = (id: string): Stamped<T> | undefined => stamped(one.get(name, id, now()))
  const all = (): Stamped<T>[] => every.all(name, now()).flatMap(row => stamped<T>(row) ?? [])
  const look = (): void => {
    if (followed.watched()) followed.seeAll(all())
  }

  return {
    look,
    get: async id => kept(read(id)),
    all: async () => all().flatMap(document => kept(document) ?? []),
    async put(id, value, version, keepUntil) {
      const written = sql.atomically(() => {
        if ((read(id)?.version ?? 0) !== version) return undefined
        const stamp = Number(nextStamp.get()?.last)
        eraseOld.run(name, now())
        write.run(name, id, version + 1, stamp, JSON.stringify(value), keepUntil ?? null)
        return read(id)
      })
      if (written) followed.see(id, written)
      return kept(written)
    },
    async remove(id, version) {
      const removed = sql.atomically(() => {
        if (read(id)?.version !== version) return false
        erase.run(name, id)
        return true
      })
      if (removed) followed.see(id, undefined)
      return removed
    },
    watch(onChange) {
      // What is there already is no change.
      if (!followed.watched()) followed.seeAll(all())
      return followed.watch(onChange)
    },
  }
}

const ALIVE = '(keep_until IS NULL OR keep_until > ?)'

function stamped<T>(row: Row | undefined): Stamped<T> | undefined {
  if (!row) return undefined
  const { id, version, stamp, value } = row
  return {
    id: String(id),
    version: Number(version),
    stamp: Number(stamp),
    value: JSON.parse(String(value)) as T,
  }
}

function kept<T>(document: Stamped<T> | undefined) {
  return document && { id: document.id, version: document.version, value: document.value }
}
