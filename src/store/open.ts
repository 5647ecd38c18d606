/**
 * Opens the store that the config names. Only its own driver is loaded.
 */
import type { StoreConfig } from '../contract/config/store.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import { createMemoryStore } from './memory.ts'
import type { Store, StoreStateListener } from './store.ts'

export interface StoreNeeds {
  /** Milliseconds since the epoch. */
  now(): EpochMs
  /** This process, by a name that no other has. */
  readonly gateway: string
  readonly onState?: StoreStateListener
}

/** @throws StoreUnavailable when the file of sqlite cannot be opened. A Redis that is away is waited for later. */
export async function openStore(config: StoreConfig, needs: StoreNeeds): Promise<Store> {
  switch (config.engine) {
    case 'memory':
      return createMemoryStore(needs)
    case 'sqlite': {
      const { openSqliteStore } = await import('./sqlite.ts')
      return openSqliteStore({ ...needs, path: config.path as string })
    }
    case 'redis': {
      const { openRedisStore } = await import('./redis.ts')
      const { url, prefix = 'sallyport', timeout } = config
      return openRedisStore({
        ...needs,
        url: url as string,
        prefix,
        ...(timeout === undefined ? {} : { answerWithinMs: parseDuration(timeout) }),
      })
    }
  }
}
