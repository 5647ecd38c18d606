/** A real Redis for a test: a `redis-server` in a process of its own, on a free port. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'

export interface TestRedis {
  readonly url: string
  readonly process: ChildProcess
  /** Sends one command, as one line. @returns What was answered, as it came. */
  ask(command: string): Promise<string>
  /** SIGTERM saves what there is; SIGKILL does not. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** For a test that is not about a Redis that is away: one stands still now and then where much runs. */
export const patientStore = ({ url }: Pick<TestRedis, 'url'>) => ({ engine: 'redis', url, timeout: '20s' })

/** @returns Where it is; undefined where there is none. */
export function redisServer(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder, 'redis-server')
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not here.
    }
  }
  return undefined
}

/** What was answered was written, before it was: no write waits for the disk, and a process that is killed loses none. */
const KEPT = ['--appendonly', 'yes', '--appendfsync', 'no']

export interface RedisOptions {
  /** A cluster of one node, which refuses what a cluster of many would. */
  readonly cluster?: boolean
  /** That of one that was stopped. */
  readonly port?: number
  /** Where it finds what another has saved. */
  readonly folder?: string
}

export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  if (options.port !== undefined) return startAt(options.port, options)
  for (;;)
    try {
      return await startAt(await freePort(), options)
    } catch (error) {
      // A port that was free a moment ago may be another's by now.
      if (!(error as Error).message.includes('Address already in use')) throw error
    }
}

async function startAt(listened: number, { cluster = false, folder }: RedisOptions): Promise<TestRedis> {
  const own = folder ?? mkdtempSync(path.join(tmpdir(), 'sallyport-redis-'))
  const child = spawn(
    redisServer() as string,
    [
      ...['--port', String(listened), '--bind', '127.0.0.1', '--dir', own, '--loglevel', 'notice'],
      ...(folder === undefined ? ['--save', '', '--appendonly', 'no'] : KEPT),
      ...(cluster ? ['--cluster-enabled', 'yes'] : []),
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const ask = (command: string): Promise<string> => askOnce(listened, command)
  const redis = {
    url: `redis://127.0.0.1:${listened}`,
    process: child,
    ask,
    async stop(signal: NodeJS.Signals = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        await once(child, 'close')
      }
      if (folder === undefined) rmSync(own, { recursive: true, force: true })
    },
  }
  await said(child, 'Ready to accept connections')
  if (cluster) {
    const whole = said(child, 'Cluster state changed: ok')
    await ask('CLUSTER ADDSLOTSRANGE 0 16383')
    await whole
  }
  child.stdout.resume()
  return redis
}

/** @throws when it ends without. */
function said(child: ChildProcessByStdio<null, Readable, null>, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const listen = (part: Buffer): void => {
      text += part
      if (!text.includes(words)) return
      child.stdout.off('data', listen)
      resolve()
    }
    child.stdout.on('data', listen)
    child.once('close', () => reject(new Error(`redis-server ended: ${text}`)))
  })
}

function askOnce(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    socket.once('data', data => {
      resolve(data.toString())
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
