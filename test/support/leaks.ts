/**
 * What a gateway told, searched for the secrets it was given: each one that a test starts, when it ends.
 */
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

/** Shorter ones are words that a test made up. */
const SHORTEST = 12
/** By the names of keys, in configs as tests write them. */
const SECRET_KEY = /(token|secret|password|passphrase|apiKey)$/i

export interface Told {
  readonly where: string
  readonly text: string
}

/** @returns Credentials in a config that a test wrote. */
export function secretsOf(config: unknown): string[] {
  const found: string[] = []
  JSON.stringify(config, (key, value) => {
    if (typeof value === 'string' && SECRET_KEY.test(key) && !value.includes('$')) found.push(value)
    return value
  })
  return found
}

/** What a gateway that still runs says of itself. */
export async function toldByRunning(
  { pid }: ChildProcess,
  adminUrl: string,
  token: string | undefined,
): Promise<Told[]> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const pages = ['/status', '/metrics', '/decisions'].map(async page => {
    try {
      const response = await fetch(adminUrl + page, { headers, signal: AbortSignal.timeout(500) })
      // Live events never end.
      if (response.headers.get('content-type')?.startsWith('text/event-stream')) return []
      return [{ where: page, text: await response.text() }]
    } catch {
      return []
    }
  })
  return [...(await Promise.all(pages)).flat(), ...titleOf(pid)]
}

/** The command line, as any user of the machine can read it. */
function titleOf(pid: number | undefined): Told[] {
  try {
    return [{ where: 'the process title', text: readFileSync(`/proc/${pid}/cmdline`, 'latin1') }]
  } catch {
    return []
  }
}

/** The audit log and its parts, and what is kept between runs; the rest of the folder a test wrote itself. */
export function toldInFiles(folder: string): Told[] {
  return filesIn(folder)
    .filter(name => /audit|\.sallyport|\.log|\.head/.test(name))
    .map(name => ({ where: name, text: readFileSync(path.join(folder, name), 'latin1') }))
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
      statSync(path.join(folder, name), { throwIfNoEntry: false })?.isFile(),
    )
  } catch {
    return []
  }
}

/** @throws when a secret was told; the message says where, and no more of it than its beginning. */
export function searchForLeaks(told: readonly Told[], secrets: Iterable<string>): void {
  const long = [...new Set(secrets)].filter(secret => secret.length >= SHORTEST)
  for (const { where, text } of told) {
    const leaked = long.find(
      secret => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)),
    )
    if (leaked !== undefined)
      throw new Error(`a secret that begins with ${leaked.slice(0, 6)} is told in ${where}`)
  }
}
