/**
 * The key file, `keys.json`: who holds which key, by hash. Made by the first `keys create`.
 *
 * Written whole and renamed into place, under a lock, so that a gateway never reads half of it
 * and two commands at once lose nothing.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { compileSchema } from '../contract/schema.ts'

export interface KeyRecord {
  readonly id: string
  /** SHA-256 of the secret, hex. */
  readonly hash: string
  readonly principal: string
  readonly kind: string
  readonly roles: readonly string[]
  readonly team: string | null
  /** All that the key is for; null: whatever its principal may call. */
  readonly models?: readonly string[] | null
  /** RFC 3339, as the two below. */
  readonly created_at: string | null
  readonly expires_at: string | null
  readonly revoked_at: string | null
}

const instant = { type: ['string', 'null'], format: 'date-time' }
const validate = compileSchema(
  {
    type: 'object',
    required: ['keys'],
    additionalProperties: false,
    properties: {
      keys: {
        type: 'array',
        items: {
          type: 'object',
          additionalProperties: false,
          required: ['id', 'hash', 'principal', 'roles'],
          properties: {
            id: { type: 'string', pattern: '^k_[0-9A-Za-z]{10}$' },
            hash: { type: 'string', pattern: '^[0-9a-f]{64}$' },
            principal: { type: 'string', minLength: 1, maxLength: 256 },
            kind: { type: 'string', minLength: 1, default: 'service' },
            roles: { type: 'array', items: { type: 'string' } },
            team: { type: ['string', 'null'], default: null },
            models: { type: ['array', 'null'], items: { type: 'string', minLength: 1 } },
            created_at: { ...instant, default: null },
            expires_at: { ...instant, default: null },
            revoked_at: { ...instant, default: null },
          },
        },
      },
    },
  },
  { defaults: true },
)

/** The file is there and is not a key file. `code` is `invalid_key_file`. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError'
  readonly code = 'invalid_key_file'
}

/** @returns The keys; none when the file is not there. @throws KeyFileError when it cannot be read. */
export function readKeyFile(file: string): readonly KeyRecord[] {
  if (!existsSync(file)) return []
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as { keys: KeyRecord[] }
    const [problem] = validate(value)
    if (problem) throw new Error(`${problem.pointer || '/'} ${problem.message}`)
    return value.keys
  } catch (cause) {
    throw new KeyFileError(`${file}: ${(cause as Error).message}`, { cause })
  }
}

/** Reads, changes and writes the file while nobody else does. */
export async function changeKeyFile(
  file: string,
  change: (keys: readonly KeyRecord[]) => readonly KeyRecord[],
): Promise<void> {
  mkdirSync(path.dirname(file), { recursive: true })
  const lock = `${file}.lock`
  await takeLock(lock)
  try {
    const text = `${JSON.stringify({ keys: change(readKeyFile(file)) }, null, 2)}\n`
    writeFileSync(`${file}.new`, text, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } finally {
    rmSync(lock, { force: true })
  }
}

/** A lock older than this was left by a command that died. */
const STALE_LOCK_MS = 10_000

async function takeLock(lock: string): Promise<void> {
  for (;;) {
    try {
      closeSync(openSync(lock, 'wx', 0o600))
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (ageOf(lock) > STALE_LOCK_MS) putAway(lock)
      else await wait(20)
    }
  }
}

/** Renamed and then removed: of two commands that find the same stale lock one gets it. */
function putAway(lock: string): void {
  const away = `${lock}.${process.pid}`
  try {
    renameSync(lock, away)
    rmSync(away, { force: true })
  } catch {
    // The other was first.
  }
}

function ageOf(file: string): number {
  try {
    return Date.now() - statSync(file).mtimeMs
  } catch {
    return 0
  }
}
