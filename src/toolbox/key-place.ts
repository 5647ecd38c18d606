/**
 * Where API keys are kept, for the commands that change them.
 */
import { createFileDrawer, createShelfDrawer, type KeyDrawer } from '../identity/key-drawer.ts'
import type { KeyRecord } from '../identity/key-file.ts'
import type { KeyUse } from '../identity/key-uses.ts'
import { KEY_USES, KEYS } from '../store/shelves.ts'
import { type Store, StoreUnavailable } from '../store/store.ts'
import { configFor } from './config.ts'
import { CommandFailure, EXIT, type Format } from './output.ts'
import { withStore } from './store.ts'

export interface KeyPlace {
  readonly drawer: KeyDrawer
  /** RFC 3339, by id of the key; none where only a gateway's memory knows. */
  lastUses(): Promise<ReadonlyMap<string, string>>
}

/** @throws CommandFailure when the store that keeps them does not answer. */
export async function withKeys(
  { config: file, format }: { readonly config: string; readonly format: Format },
  work: (place: KeyPlace) => Promise<void>,
): Promise<void> {
  const config = configFor(file, format)
  const { apiKeys } = config.identity
  const drawer = createFileDrawer(apiKeys.file)
  if (config.store.engine === 'memory') return work({ drawer, lastUses: async () => new Map() })
  await withStore(config.store, async store => {
    try {
      if (apiKeys.in === 'store')
        await work({ drawer: createShelfDrawer(store.shelf<KeyRecord>(KEYS)), lastUses: () => usesIn(store) })
      // A file is there without the store.
      else await work({ drawer, lastUses: () => usesIn(store).catch(() => new Map()) })
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      throw new CommandFailure(EXIT.failure, `the store does not answer: ${error.message}`)
    }
  })
}

async function usesIn(store: Store): Promise<ReadonlyMap<string, string>> {
  const uses = await store.shelf<KeyUse>(KEY_USES).all()
  return new Map(uses.map(({ id, value }) => [id, value.last_used_at]))
}
