import { describe, expect, it } from 'vitest'
import { newApiKey } from '../../src/identity/api-key.ts'
import type { KeyRecord } from '../../src/identity/key-file.ts'
import { createKeyring } from '../../src/identity/keyring.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')

function key(members: Partial<KeyRecord> = {}): { secret: string; record: KeyRecord } {
  const { id, secret, digest } = newApiKey()
  const record = {
    id,
    hash: digest,
    principal: 'ci-bot',
    kind: 'service',
    roles: ['developer'],
    team: 'search',
    created_at: '2025-01-01T00:00:00Z',
    expires_at: null,
    revoked_at: null,
    ...members,
  }
  return { secret, record }
}

describe('the keyring', () => {
  it('knows whose key it is', () => {
    const { secret, record } = key({ expires_at: '2026-06-01T00:00:00Z' })
    expect(createKeyring([key().record, record]).principalOf(secret, NOON)).toEqual({
      id: 'ci-bot',
      kind: 'service',
      roles: ['developer'],
      team: 'search',
      authenticated: true,
      method: 'api_key',
      key_id: record.id,
      claims: {},
      expires_at: '2026-06-01T00:00:00Z',
    })
  })

  it('lets a key go at the instant when it ends, and not before', () => {
    const { secret, record } = key({ expires_at: '2026-01-01T12:00:00Z' })
    const keyring = createKeyring([record])
    expect(keyring.principalOf(secret, NOON - 1)).toBeDefined()
    expect(keyring.principalOf(secret, NOON)).toBeUndefined()
  })

  it('does not know a revoked key, even from the future', () => {
    for (const revoked_at of ['2025-06-01T00:00:00Z', '2030-01-01T00:00:00Z']) {
      const { secret, record } = key({ revoked_at })
      expect(createKeyring([record]).principalOf(secret, NOON)).toBeUndefined()
    }
  })

  it('does not know a key of another id with the same hash, or of the same id with another hash', () => {
    const [one, other] = [key(), key()]
    expect(
      createKeyring([{ ...one.record, id: other.record.id }]).principalOf(one.secret, NOON),
    ).toBeUndefined()
    expect(
      createKeyring([{ ...one.record, hash: other.record.hash }]).principalOf(one.secret, NOON),
    ).toBeUndefined()
  })

  it.each(['', 'slp_', 'k_0000000000', '__proto__', 'slp_0000000000_00000000000000000000000000000000000000'])(
    'does not know %j',
    secret => {
      expect(createKeyring([key().record]).principalOf(secret, NOON)).toBeUndefined()
    },
  )

  it('counts the keys that are in force', () => {
    const records = [
      key(),
      key({ expires_at: '2026-01-01T12:00:00Z' }),
      key({ revoked_at: '2025-06-01T00:00:00Z' }),
    ].map(({ record }) => record)
    expect(createKeyring(records).size(NOON - 1)).toBe(2)
    expect(createKeyring(records).size(NOON)).toBe(1)
  })
})
