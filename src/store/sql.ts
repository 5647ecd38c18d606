/**
 * An SQLite file: statements, transactions, and whether another process has written. The one door
 * of `libsql`, SQLite with a driver that npm brings for each platform, loaded only when it is used.
 *
 * In WAL mode a commit is handed to the operating system, so a killed process loses nothing that
 * it has committed, and other processes read while one writes.
 */
import type { Database as LibsqlDatabase } from 'libsql'
import { StoreUnavailable } from './store.ts'

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

export interface Sql {
  prepare(text: string): Statement
  /** All of it or nothing, and nobody writes meanwhile. Not to be nested. */
  atomically<T>(work: () => T): T
  /** A number that changes when another process, or another connection, has written. */
  version(): number
  close(): void
}

/** @throws StoreUnavailable */
export interface Statement {
  get(...values: readonly SqlValue[]): Row | undefined
  all(...values: readonly SqlValue[]): Row[]
  run(...values: readonly SqlValue[]): void
}

/** Others hold the lock for the time of a few statements; this is for a disk that is slow. */
const WAIT_FOR_LOCK_MS = 500

/** @throws StoreUnavailable when the file is none of SQLite, or cannot be had. */
export async function openSql(file: string): Promise<Sql> {
  const { default: Database } = await import('libsql')
  const db = attempt(() => {
    const opened: LibsqlDatabase = new Database(file, { timeout: WAIT_FOR_LOCK_MS })
    opened.exec('PRAGMA journal_mode = WAL')
    opened.exec('PRAGMA synchronous = NORMAL')
    return opened
  })
  const begin = prepare('BEGIN IMMEDIATE')
  const commit = prepare('COMMIT')
  const rollback = prepare('ROLLBACK')
  const dataVersion = prepare('PRAGMA data_version')

  function prepare(text: string): Statement {
    const statement = attempt(() => db.prepare(text))
    return {
      get: (...values) => attempt(() => statement.get(...values) as Row | undefined),
      all: (...values) => attempt(() => statement.all(...values) as Row[]),
      run: (...values) => void attempt(() => statement.run(...values)),
    }
  }

  return {
    prepare,
    atomically(work) {
      begin.run()
      try {
        const done = work()
        commit.run()
        return done
      } catch (error) {
        if (db.inTransaction) rollback.run()
        throw error
      }
    },
    version: () => Number(dataVersion.get()?.data_version),
    close: () => void db.close(),
  }
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new StoreUnavailable(`SQLite: ${(cause as Error).message}`, { cause })
  }
}
