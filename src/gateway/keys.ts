/**
 * The API keys of a gateway, wherever they are kept: read when it starts, and again whenever they
 * change. What cannot be read changes nothing.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import { createFileDrawer, createShelfDrawer, type KeyDrawer } from '../identity/key-drawer.ts'
import type { KeyRecord } from '../identity/key-file.ts'
import { createKeyUses, type KeyUse } from '../identity/key-uses.ts'
import { createKeyring, type Keyring } from '../identity/keyring.ts'
import { KEY_USES, KEYS } from '../store/shelves.ts'
import type { Store } from '../store/store.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { watchPath } from '../watcher.ts'

type Place = GatewayConfig['identity']['apiKeys']

export interface Keys {
  /**
   * @returns Whose key this is; undefined when it is not good.
   * @throws GatewayError `overloaded` when it is kept in a store that is away: who was revoked there is
   *   not known.
   */
  principalOf(secret: string, now: number): Principal | undefined
  /** @returns When they were read. */
  configure(place: Place): Promise<void>
  close(): Promise<void>
}

export interface KeysNeeds {
  readonly store: Store
  /** Whether keys are good while a store that keeps them is away. */
  readonly onFailure: 'refuse' | 'local'
  readonly log: OperatorLog
  now(): number
}

const WRITE_USES_EVERY_MS = 2000
/** While keys are shown, a file of them is looked at so often at most. */
const LOOK_EVERY_MS = 10

export function createKeys({ store, onFailure, log, now }: KeysNeeds): Keys {
  const uses = createKeyUses(store.shelf<KeyUse>(KEY_USES))
  const timer = setInterval(() => void uses.flush(), WRITE_USES_EVERY_MS).unref()
  let place: Place | undefined
  let drawer: KeyDrawer | undefined
  let watcher: { close(): unknown } | undefined
  let keyring: Keyring = createKeyring([])
  let seen: string | undefined
  let lookedAt = 0
  let reading: Promise<void> | undefined
  let again = false

  /** One at a time: an older answer must not come after a newer one. */
  function reload(): Promise<void> {
    again = true
    reading ??= (async () => {
      while (again) {
        again = false
        await read()
      }
    })().finally(() => {
      reading = undefined
    })
    return reading
  }

  async function read(): Promise<void> {
    try {
      use((await drawer?.list()) ?? [])
    } catch (error) {
      refuse(error as Error)
    }
  }

  function use(records: readonly KeyRecord[]): void {
    const look = JSON.stringify(records)
    if (look === seen) return
    seen = look
    keyring = createKeyring(records)
    log.info('keys_loaded', { keys: keyring.size(now()) })
  }

  function refuse({ message }: Error): void {
    if (message !== seen) log.error('keys_refused', { message })
    seen = message
  }

  /** A watcher notices after a while; whoever shows a key that was just made or revoked does not wait for it. */
  function lookAgain(at: number): void {
    if (at - lookedAt < LOOK_EVERY_MS && at >= lookedAt) return
    lookedAt = at
    try {
      const records = drawer?.changed?.()
      if (records) use(records)
    } catch (error) {
      refuse(error as Error)
    }
  }

  function openDrawer({ file, in: where }: Place): void {
    if (where === 'store') {
      const shelf = store.shelf<KeyRecord>(KEYS)
      drawer = createShelfDrawer(shelf)
      watcher = shelf.watch(() => void reload())
    } else {
      drawer = createFileDrawer(file)
      watcher = watchPath(file, () => void reload())
    }
  }

  return {
    principalOf(secret, at) {
      lookAgain(at)
      const principal = keyring.principalOf(secret, at)
      if (!principal) return undefined
      if (place?.in === 'store' && onFailure === 'refuse' && !store.ok()) throw keysAway()
      if (principal.key_id !== null) uses.note(principal.key_id, at)
      return principal
    },
    async configure(next) {
      if (!place || next.in !== place.in || next.file !== place.file) {
        watcher?.close()
        place = next
        openDrawer(next)
      }
      await reload()
    },
    async close() {
      clearInterval(timer)
      await watcher?.close()
      await uses.flush()
    },
  }
}

function keysAway(): GatewayError {
  return new GatewayError('overloaded', 'the store that keeps the keys does not answer', {
    title: 'The store of keys does not answer; try again',
    retryAfterSeconds: 1,
  })
}
