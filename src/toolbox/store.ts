/**
 * The store of the config, for commands: opened, used and closed.
 */
import type { StoreConfig } from '../contract/config/store.ts'
import { newId } from '../server/ids.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import { CommandFailure, EXIT } from './output.ts'

/** @throws CommandFailure when it cannot be opened. */
export async function withStore<T>(config: StoreConfig, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(config, { now: Date.now, gateway: newId(Date.now()) }).catch(
    (error: unknown) => {
      throw new CommandFailure(EXIT.failure, `the store cannot be opened: ${(error as Error).message}`)
    },
  )
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
