/**
 * Lock: one gateway at a time writes a log.
 *
 * A socket beside the file that answers as long as its process lives. The kernel closes it with the process,
 * however that ends, so there is nothing that could stay locked: who finds a socket that does not answer
 * takes its place.
 */
import { createHash } from 'node:crypto'
import { realpathSync, statSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'

export interface Lock {
  release(): void
}

/** Another process writes this log. */
export class LogInUse extends Error {
  override readonly name = 'LogInUse'
  readonly code = 'audit_in_use'
  constructor(file: string) {
    super(`${file} is written by another gateway; each needs an audit log of its own`)
  }
}

/** What a socket's path may take, on all systems. */
const LONGEST_PATH = 100
/** Two that find the same dead socket at the same moment: one of them sees that the other replaced it. */
const SETTLE_MS = 50
const ATTEMPTS = 5

/**
 * @returns Undefined where the file system has no sockets: nothing is locked then.
 * @throws LogInUse
 */
export async function takeLock(file: string): Promise<Lock | undefined> {
  const place = socketPath(file)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const server = createServer(connection => connection.end())
    const problem = await listening(server, place)
    if (problem === undefined) {
      server.unref()
      if (attempt === 0 || (await isStillOurs(place))) return { release: () => void server.close() }
      server.close()
      throw new LogInUse(file)
    }
    if (problem !== 'EADDRINUSE') return undefined
    if (await answers(place)) throw new LogInUse(file)
    removeSocket(place)
  }
  throw new LogInUse(file)
}

function socketPath(file: string): string {
  const folder = realpathSync(path.dirname(file))
  const place = path.join(folder, `${path.basename(file)}.lock`)
  if (place.length <= LONGEST_PATH) return place
  const short = createHash('sha256').update(place).digest('hex').slice(0, 32)
  return path.join(tmpdir(), `sallyport-${short}.lock`)
}

/** @returns Why it does not, if it does not. */
function listening(server: Server, place: string): Promise<string | undefined> {
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen(place, () => resolve(undefined))
  })
}

function answers(place: string): Promise<boolean> {
  return new Promise(resolve => {
    const connection = connect(place, () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', (error: NodeJS.ErrnoException) =>
      // Whoever may not even knock cannot tell that nobody is there.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

function removeSocket(place: string): void {
  try {
    unlinkSync(place)
  } catch {
    // Another took it away first.
  }
}

async function isStillOurs(place: string): Promise<boolean> {
  const before = statSync(place, { throwIfNoEntry: false })?.ino
  await setTimeout(SETTLE_MS)
  return before !== undefined && statSync(place, { throwIfNoEntry: false })?.ino === before
}
