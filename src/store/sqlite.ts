/**
 * The store in one file: shelves, counters and usage survive the process, and other processes of
 * this machine see them at the same time.
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { openSql, type Sql } from './sql.ts'
import { createSqliteCounters } from './sqlite-counters.ts'
import { createSqliteShelf, type SqliteShelf } from './sqlite-shelf.ts'
import { createSqliteUsage } from './sqlite-usage.ts'
import type { Store, StoreStateListener } from './store.ts'

export interface SqliteStoreNeeds {
  readonly path: string
  /** Milliseconds since the epoch. */
  now(): EpochMs
  /** This gateway, by a name that no other has. */
  readonly gateway: string
  readonly onState?: StoreStateListener
}

/** How often the file is looked at for what other processes wrote. */
const LOOK_EVERY_MS = 10
/** How often a file that could not be written is tried again. */
const TRY_EVERY_MS = 200
/** More than any transaction of a gateway writes: where this fits, there is room again. */
const PROBE_BYTES = 65_536

const TABLES = [
  `CREATE TABLE IF NOT EXISTS documents (shelf TEXT, id TEXT, version INTEGER, stamp INTEGER, value TEXT,
     keep_until REAL, PRIMARY KEY (shelf, id)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS stamps (one INTEGER PRIMARY KEY, last INTEGER)',
  'CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, used REAL, ends_at REAL) WITHOUT ROWID',
  'CREATE INDEX IF NOT EXISTS counters_by_end ON counters (ends_at)',
  `CREATE TABLE IF NOT EXISTS slots (name TEXT, slot INTEGER, used REAL, ends_at REAL,
     PRIMARY KEY (name, slot)) WITHOUT ROWID`,
  'CREATE INDEX IF NOT EXISTS slots_by_end ON slots (ends_at)',
  `CREATE TABLE IF NOT EXISTS leases (counter TEXT, id TEXT, ends_at REAL,
     PRIMARY KEY (counter, id)) WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS gateways (id TEXT PRIMARY KEY, ends_at REAL) WITHOUT ROWID',
  `CREATE TABLE IF NOT EXISTS usage (day TEXT, name TEXT, requests INTEGER, input_tokens INTEGER,
     output_tokens INTEGER, cost REAL, PRIMARY KEY (day, name)) WITHOUT ROWID`,
]

/** @throws StoreUnavailable when the file cannot be opened. */
export async function openSqliteStore({
  path: file,
  now,
  gateway,
  onState,
}: SqliteStoreNeeds): Promise<Store> {
  let ok = true
  mkdirSync(path.dirname(file), { recursive: true })
  const plain = await openSql(file)
  const sql = watched(plain, cause => tell(false, cause))
  sql.atomically(() => {
    for (const table of TABLES) sql.prepare(table).run()
    sql.prepare('INSERT OR IGNORE INTO stamps VALUES (1, 0)').run()
  })
  let seen = sql.version()
  const shelves = new Map<string, SqliteShelf<unknown>>()
  const usage = createSqliteUsage(sql)

  function tell(answers: boolean, cause?: unknown): void {
    if (answers === ok) return
    ok = answers
    onState?.(answers, cause)
  }

  /** A transaction that is small may fit where no other does: that is no answer. */
  const probe = setInterval(() => {
    if (ok) return
    try {
      plain.atomically(() => {
        plain.prepare('INSERT INTO gateways VALUES (hex(zeroblob(?)), 0)').run(PROBE_BYTES / 2)
        plain.prepare('DELETE FROM gateways WHERE ends_at = 0').run()
      })
      tell(true)
    } catch {
      // Not yet.
    }
  }, TRY_EVERY_MS).unref()

  const look = setInterval(() => {
    try {
      const version = sql.version()
      if (version === seen) return
      seen = version
      for (const shelf of shelves.values()) shelf.look()
    } catch {
      // Told by `watched`.
    }
  }, LOOK_EVERY_MS).unref()

  return {
    engine: 'sqlite',
    ok: () => ok,
    counters: createSqliteCounters(sql, gateway),
    usage,
    shelf<T>(name: string): Shelf<T> {
      const known = shelves.get(name)
      if (known) return known as unknown as Shelf<T>
      const shelf = createSqliteShelf<T>(sql, name, now)
      shelves.set(name, shelf as unknown as SqliteShelf<unknown>)
      return shelf
    },
    async close() {
      clearInterval(look)
      clearInterval(probe)
      usage.flush()
      sql.close()
    },
  }
}

/** The same file, telling of each transaction that failed. */
function watched(sql: Sql, onFailure: (cause: unknown) => void): Sql {
  return {
    ...sql,
    atomically(work) {
      try {
        return sql.atomically(work)
      } catch (error) {
        onFailure(error)
        throw error
      }
    },
  }
}
