/**
 * Lock: one gateway at a time writes a log.
 *
 * A socket beside the file that answers as long as its process lives. The kernel closes it with the process,
 * however that ends, so there is nothing that could stay locked: who finds a socket that does not answer
 * takes its place.
 */
import { createHash, randomBytes } from 'node:crypto'
import { linkSync, realpathSync, renameSync, statSync, unlinkSync } from 'node:fs'
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

/** What a socket's path may take on all systems, less what is put behind it. */
const LONGEST_PATH = 88
const SETTLE_MS = 50
const ATTEMPTS = 5

/**
 * @returns Undefined where the file system has no sockets: nothing is locked then.
 * @throws LogInUse
 */
export async function takeLock(file: string): Promise<Lock | undefined> {
  const place = socketPath(file)
  // Made under a name of its own, so that closing it removes nobody else's.
  const own = `${place}.${randomBytes(3).toString('hex')}`
  const server = createServer(connection => connection.end())
  if (!(await isListening(server, own))) return undefined
  server.unref()
  const { ino } = statSync(own)
  const isOurs = (): boolean => statSync(place, { throwIfNoEntry: false })?.ino === ino
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!isPut(own, place)) {
        if (await answers(place)) break
        await takeAway(place, `${own}.dead`)
        continue
      }
      // Two may have found the same dead socket at the same moment.
      if (attempt > 0) await setTimeout(SETTLE_MS)
      if (!isOurs()) break
      unlinkSync(own)
      return {
        release() {
          if (isOurs()) unlinkSync(place)
          server.close()
        },
      }
    }
  } catch (error) {
    server.close()
    if (NO_LINKS.has(String((error as NodeJS.ErrnoException).code))) return undefined
    throw error
  }
  server.close()
  throw new LogInUse(file)
}

const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'])

/** @returns False when there is one already. */
function isPut(own: string, place: string): boolean {
  try {
    linkSync(own, place)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Removes a dead socket; one that turns out to be alive, since another was quicker, is put back. */
async function takeAway(place: string, aside: string): Promise<void> {
  try {
    renameSync(place, aside)
  } catch {
    // Another took it away first.
    return
  }
  if (await answers(aside)) isPut(aside, place)
  unlinkSync(aside)
}

function socketPath(file: string): string {
  const folder = realpathSync(path.dirname(file))
  const place = path.join(folder, `${path.basename(file)}.lock`)
  if (place.length <= LONGEST_PATH) return place
  const short = createHash('sha256').update(place).digest('hex').slice(0, 32)
  return path.join(tmpdir(), `sallyport-${short}.lock`)
}

function isListening(server: Server, place: string): Promise<boolean> {
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(place, () => resolve(true))
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
