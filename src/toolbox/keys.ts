/**
 * `keys`: API keys are created, listed and revoked. A secret is shown once.
 */
import { parseDuration } from '../contract/units.ts'
import { newApiKey } from '../identity/api-key.ts'
import { changeKeyFile, type KeyRecord, readKeyFile } from '../identity/key-file.ts'
import { CommandFailure, EXIT, type Format, print, printJson, table } from './output.ts'

export interface NewKey {
  readonly principal: string
  readonly kind: string
  readonly roles: readonly string[]
  readonly team: string | null
  /** A duration. */
  readonly expires: string | undefined
}

export async function createKey(file: string, key: NewKey, format: Format): Promise<void> {
  const { id, secret, digest } = newApiKey()
  const now = Date.now()
  const record: KeyRecord = {
    id,
    hash: digest,
    principal: key.principal,
    kind: key.kind,
    roles: key.roles,
    team: key.team,
    created_at: new Date(now).toISOString(),
    expires_at: key.expires === undefined ? null : new Date(now + parseDuration(key.expires)).toISOString(),
    revoked_at: null,
  }
  await changeKeyFile(file, keys => [...keys, record])
  const { principal, roles, team, expires_at } = record
  if (format === 'json') printJson({ id, secret, principal, roles, team, expires_at })
  else {
    print(`${secret}\n`)
    print(
      `This is the only time it is shown. It is ${id}, for ${principal}${expires_at === null ? '' : `, until ${expires_at}`}.`,
    )
  }
}

export function listKeys(file: string, format: Format): void {
  const keys = readKeyFile(file).map(({ hash: _, ...key }) => ({ ...key, state: stateOf(key, Date.now()) }))
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
    key.state,
    key.expires_at ?? 'never',
  ])
  print(table([['ID', 'PRINCIPAL', 'KIND', 'ROLES', 'TEAM', 'STATE', 'EXPIRES'], ...rows]))
}

export async function revokeKey(file: string, id: string, format: Format): Promise<void> {
  const at = new Date().toISOString()
  let revoked: KeyRecord | undefined
  await changeKeyFile(file, keys =>
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
