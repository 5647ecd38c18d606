/**
 * The stage of the demo: two tiny language models and a gateway in front of them, as processes of
 * their own, with a copy of the repository's config and policies to play with.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CLI = path.join(ROOT, 'dist/cli.js')
const MODEL_SERVER = path.join(ROOT, 'examples/tiny-slm/main.ts')

export interface Stage {
  /** Where the copies and the audit log are, relative to the current folder. */
  readonly folder: string
  readonly url: string
  readonly adminUrl: string
  /** Makes an API key. */
  key(principal: string, role: string, team: string): string
  /** Replaces a part of a file of the policy, and gives it back as it was. */
  edit(file: string, from: string, to: string): string
  write(file: string, text: string): void
  /** Ends a model server as a crash would. */
  kill(server: 'A' | 'B'): void
  sallyport(...args: string[]): string
  close(): Promise<void>
}

export async function setStage(): Promise<Stage> {
  const folder = path.join('.sallyport', 'demo')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(path.join(ROOT, 'gateway.config.json'), path.join(folder, 'gateway.config.json'))
  cpSync(path.join(ROOT, 'policies'), path.join(folder, 'policies'), { recursive: true })

  const children: ChildProcess[] = []
  const start = async (args: string[], env: NodeJS.ProcessEnv, output: 'stdout' | 'stderr') => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    return { child, listening: await listening(child, output) }
  }
  const models = ['--model', 'tiny', '--model', 'tiny-large', '--port', '0']
  const server = (name: string) =>
    start(['--import', import.meta.resolve('tsx'), MODEL_SERVER, ...models, '--name', name], {}, 'stdout')
  const [a, b] = await Promise.all([server('A'), server('B')])
  const config = path.join(folder, 'gateway.config.json')
  const env = {
    SALLYPORT_PORT: '0',
    SALLYPORT_ADMIN_PORT: '0',
    SALLYPORT_CHAT_1: a.listening.url,
    SALLYPORT_CHAT_2: b.listening.url,
    SALLYPORT_LARGE: b.listening.url,
  }
  const sallyport = (...args: string[]): string =>
    execFileSync(process.execPath, [CLI, ...args, '--config', config], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
    })
  const gateway = await start([CLI, 'serve', '--config', config], env, 'stderr')

  const read = (file: string): string => readFileSync(path.join(folder, 'policies', file), 'utf8')
  const write = (file: string, text: string): void => writeFileSync(path.join(folder, 'policies', file), text)
  return {
    folder,
    url: gateway.listening.url,
    adminUrl: gateway.listening.admin_url ?? '',
    key(principal, role, team) {
      const made = sallyport(
        'keys',
        'create',
        '--principal',
        principal,
        '--roles',
        role,
        '--team',
        team,
        '--format',
        'json',
      )
      return (JSON.parse(made) as { secret: string }).secret
    },
    edit(file, from, to) {
      const before = read(file)
      if (!before.includes(from)) throw new Error(`${file} does not hold ${from}`)
      write(file, before.replace(from, to))
      return before
    },
    write,
    kill: name => void (name === 'A' ? a : b).child.kill('SIGKILL'),
    sallyport,
    async close() {
      for (const child of children.reverse()) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const gone = once(child, 'exit')
        child.kill('SIGTERM')
        await gone
      }
    },
  }
}

/** A process says in one JSON line where it listens; one that ends before has failed. */
async function listening(
  child: ChildProcess,
  output: 'stdout' | 'stderr',
): Promise<{ url: string; admin_url?: string }> {
  const stream = child[output]
  if (!stream) throw new Error('no output to read')
  const said: string[] = []
  const lines = createInterface({ input: stream })
  for await (const line of lines) {
    said.push(line)
    if (line.includes('"event":"listening"')) {
      // The rest is read and dropped, so that the process never waits for a reader.
      stream.resume()
      return JSON.parse(line) as { url: string; admin_url?: string }
    }
  }
  throw new Error(`a process of the demo did not start:\n${said.join('\n')}`)
}
