/**
 * The keyring: the keys that are in force, by id. Reloaded whole; a file that cannot be read
 * changes nothing.
 */
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import { keyIdOf, matches } from './api-key.ts'
import type { KeyRecord } from './key-file.ts'

export interface Keyring {
  /** @returns Whose key this is, or undefined when it is unknown, mistyped, revoked or expired. */
  principalOf(secret: string, now: EpochMs): Principal | undefined
  /** How many keys are neither revoked nor expired now. */
  size(now: EpochMs): number
}

interface Entry {
  readonly digest: Buffer
  readonly endsAt: EpochMs
  readonly principal: Principal
}

export function createKeyring(records: readonly KeyRecord[]): Keyring {
  const entries = new Map<string, Entry>()
  for (const record of records) {
    if (record.revoked_at === null) entries.set(record.id, entryOf(record))
  }
  return {
    principalOf(secret, now) {
      const id = keyIdOf(secret)
      const entry = id === undefined ? undefined : entries.get(id)
      return entry && matches(secret, entry.digest) && now < entry.endsAt ? entry.principal : undefined
    },
    size: now => [...entries.values()].filter(entry => now < entry.endsAt).length,
  }
}

function entryOf(record: KeyRecord): Entry {
  return {
    digest: Buffer.from(record.hash, 'hex'),
    endsAt: record.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(record.expires_at),
    principal: {
      id: record.principal,
      kind: record.kind,
      roles: record.roles,
      team: record.team,
      authenticated: true,
      method: 'api_key',
      key_id: record.id,
      claims: record.models ? { models: record.models } : {},
      expires_at: record.expires_at,
    },
  }
}
