/**
 * When each API key was used last, to the minute: kept in the store, and written off the path of
 * any request, once a minute for a key at most.
 */
import type { EpochMs } from '../contract/units.ts'
import type { KeyShelf } from './key-drawer.ts'

export interface KeyUse {
  /** RFC 3339. */
  readonly last_used_at: string
}

export interface KeyUses {
  note(id: string, now: EpochMs): void
  /** Writes what was noted. What the store does not take is written the next time. */
  flush(): Promise<void>
}

const MINUTE_MS = 60_000

export function createKeyUses(shelf: KeyShelf<KeyUse>): KeyUses {
  const written = new Map<string, EpochMs>()
  const noted = new Map<string, EpochMs>()
  let writing: Promise<void> | undefined

  async function write(id: string, minute: EpochMs): Promise<void> {
    const known = await shelf.get(id)
    const use = { last_used_at: new Date(minute).toISOString() }
    // Another gateway may have seen it later; of two that write at once it is the same minute.
    if (!known || known.value.last_used_at < use.last_used_at) await shelf.put(id, use, known?.version ?? 0)
    written.set(id, minute)
    if (noted.get(id) === minute) noted.delete(id)
  }

  return {
    note(id, now) {
      const minute = now - (now % MINUTE_MS)
      if (written.get(id) !== minute) noted.set(id, minute)
    },
    flush() {
      writing ??= (async () => {
        for (const [id, minute] of noted) await write(id, minute)
      })()
        .catch(() => {})
        .finally(() => {
          writing = undefined
        })
      return writing
    },
  }
}
