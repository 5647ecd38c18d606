/**
 * `keys`: API keys are created, listed and revoked. A secret is shown once.
 */
import { parseDuration } from '../contract/units.ts'
import { newApiKey } from '../identity/api-key.ts'
import type { KeyRecord } from '../identity/key-file.ts'
import type { KeyPlace } from './key-place.ts'
import { CommandFailure, EXIT, type Format, print, printJson, table } from './output.ts'

export { withKeys } from './key-place.ts'

export interface NewKey {
  readonly principal: string
  readonly kind: string
  readonly roles: readonly string[]
  readonly team: string | null
  /** Undefined: whatever the principal may call. */
  readonly models: readonly string[] | undefined
  /** A duration. */
  readonly expires: string | undefined
}

export async function createKey({ drawer }: KeyPlace, key: NewKey, format: Format): Promise<void> {
  const { principal, kind, roles, team, models = null, expires } = key
  const rights = { principal, kind, roles, team, models }
  const { record, secret } = newKey(rights, expires === undefined ? null : parseDuration(expires))
  await drawer.change(keys => [...keys, record])
  showSecret(record, secret, format)
}

/**
 * A new key with the rights of an old one, which goes on for a while. What has an end gets one as
 * far away as the old key had when it was made.
 */
export async function rotateKey(
  { drawer }: KeyPlace,
  id: string,
  overlap: string,
  format: Format,
): Promise<void> {
  let made: { readonly record: KeyRecord; readonly secret: string } | undefined
  let old: KeyRecord | undefined
  await drawer.change(keys => {
    const now = Date.now()
    const found = keys.find(key => key.id === id)
    if (!found || stateOf(found, now) !== 'active') return keys
    const { principal, kind, roles, team, models = null } = found
    made = newKey({ principal, kind, roles, team, models }, lifeOf(found))
    old = { ...found, expires_at: earlier(found.expires_at, now + parseDuration(overlap)) }
    return [...keys.map(key => (key === found ? (old as KeyRecord) : key)), made.record]
  })
  if (!made || !old) throw new CommandFailure(EXIT.findings, `there is no active key ${id}`)
  if (format === 'json')
    printJson({ ...shown(made.record, made.secret), replaces: { id, expires_at: old.expires_at } })
  else {
    showSecret(made.record, made.secret, format)
    print(`${id} is good until ${old.expires_at}.`)
  }
}

function newKey(
  rights: Pick<KeyRecord, 'principal' | 'kind' | 'roles' | 'team' | 'models'>,
  lifeMs: number | null,
): { readonly record: KeyRecord; readonly secret: string } {
  const { id, secret, digest } = newApiKey()
  const now = Date.now()
  const record: KeyRecord = {
    id,
    hash: digest,
    ...rights,
    created_at: new Date(now).toISOString(),
    expires_at: lifeMs === null ? null : new Date(now + lifeMs).toISOString(),
    revoked_at: null,
  }
  return { record, secret }
}

/** Milliseconds; null for a key without an end. A file from another hand may not say when a key was made. */
function lifeOf({ created_at, expires_at }: KeyRecord): number | null {
  if (expires_at === null) return null
  return Date.parse(expires_at) - (created_at === null ? Date.now() : Date.parse(created_at))
}

function earlier(end: string | null, at: number): string {
  return new Date(end === null ? at : Math.min(at, Date.parse(end))).toISOString()
}

function shown(record: KeyRecord, secret: string): object {
  const { id, principal, roles, team, models, expires_at } = record
  return { id, secret, principal, roles, team, expires_at, ...(models ? { models } : {}) }
}

function showSecret(record: KeyRecord, secret: string, format: Format): void {
  if (format === 'json') {
    printJson(shown(record, secret))
    return
  }
  const { id, principal, models, expires_at } = record
  const limits = `${models ? `, for ${models.join(' and ')} only` : ''}${expires_at === null ? '' : `, until ${expires_at}`}`
  print(`${secret}\n`)
  print(`This is the only time it is shown. It is ${id}, for ${principal}${limits}.`)
}

export async function listKeys({ drawer, lastUses }: KeyPlace, format: Format): Promise<void> {
  const uses = await lastUses()
  const keys = (await drawer.list()).map(({ hash: _, ...key }) => ({
    ...key,
    state: stateOf(key, Date.now()),
    last_used_at: uses.get(key.id) ?? null,
  }))
  if (format === 'json') {
    printJson({ keys })
    return
  }
  const rows = keys.map(key => [
    key.id,
    key.principal,
    key.kind,
    key.roles.join(','),
    key.team ?? '-',
    key.models?.join(',') ?? '*',
    key.state,
    key.expires_at ?? 'never',
    key.last_used_at ?? '-',
  ])
  print(
    table([['ID', 'PRINCIPAL', 'KIND', 'ROLES', 'TEAM', 'MODELS', 'STATE', 'EXPIRES', 'LAST USED'], ...rows]),
  )
}

export async function revokeKey({ drawer }: KeyPlace, id: string, format: Format): Promise<void> {
  const at = new Date().toISOString()
  let revoked: KeyRecord | undefined
  await drawer.change(keys =>
    keys.map(key => {
      if (key.id !== id) return key
      revoked = { ...key, revoked_at: key.revoked_at ?? at }
      return revoked
    }),
  )
  if (!revoked) throw new CommandFailure(EXIT.findings, `there is no key ${id}`)
  if (format === 'json') printJson({ id, principal: revoked.principal, revoked_at: revoked.revoked_at })
  else print(`${id} of ${revoked.principal} is revoked`)
}

function stateOf(
  key: Pick<KeyRecord, 'revoked_at' | 'expires_at'>,
  now: number,
): 'active' | 'revoked' | 'expired' {
  if (key.revoked_at !== null) return 'revoked'
  return key.expires_at !== null && Date.parse(key.expires_at) <= now ? 'expired' : 'active'
}
