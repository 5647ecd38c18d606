/**
 * A drawer of API keys: a file, or a shelf of the store. Whoever changes it sees what is there, and
 * loses nothing of what others change at the same time.
 */
import { statSync } from 'node:fs'
import type { Shelf } from '../contract/shelf.ts'
import { changeKeyFile, type KeyRecord, readKeyFile } from './key-file.ts'

export interface KeyDrawer {
  /** @throws KeyFileError when the file cannot be read, StoreUnavailable. */
  list(): Promise<readonly KeyRecord[]>
  /** @param change - Called again when somebody else was faster. */
  change(change: (keys: readonly KeyRecord[]) => readonly KeyRecord[]): Promise<void>
  /**
   * Where that is cheap to see: whether anybody wrote since this was asked last, and what is in it now.
   * @throws KeyFileError when the file cannot be read.
   */
  changed?(): readonly KeyRecord[] | undefined
}

/** What a drawer needs of a shelf of the store. */
export type KeyShelf<T = KeyRecord> = Pick<Shelf<T>, 'get' | 'all' | 'put'>

export function createFileDrawer(file: string): KeyDrawer {
  let seen = stampOf(file)
  return {
    list: async () => readKeyFile(file),
    change: change => changeKeyFile(file, change),
    changed() {
      const stamp = stampOf(file)
      if (stamp === seen) return undefined
      seen = stamp
      return readKeyFile(file)
    },
  }
}

/** Another one with every change: what is written whole is another file. */
function stampOf(file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false })
  return stats ? `${stats.ino} ${stats.mtimeNs} ${stats.size}` : ''
}

export function createShelfDrawer(shelf: KeyShelf): KeyDrawer {
  async function tryChange(change: Parameters<KeyDrawer['change']>[0]): Promise<boolean> {
    const kept = await shelf.all()
    const before = new Map(kept.map(({ value, version }) => [value, version]))
    const after = change(kept.map(({ value }) => value))
    const changed = after.filter(record => !before.has(record))
    const versions = new Map(kept.map(({ id, version }) => [id, version]))
    // What is new comes last, so that a change that must be tried again leaves nothing behind.
    const known = (record: KeyRecord): number => versions.get(record.id) ?? 0
    for (const record of changed.sort((one, other) => known(other) - known(one))) {
      if (!(await shelf.put(record.id, record, known(record)))) return false
    }
    return true
  }

  return {
    list: async () => (await shelf.all()).map(({ value }) => value).sort(byCreation),
    async change(change) {
      while (!(await tryChange(change)));
    },
  }
}

function byCreation(one: KeyRecord, other: KeyRecord): number {
  return (one.created_at ?? '').localeCompare(other.created_at ?? '')
}
