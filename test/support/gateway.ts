/**
 * A real gateway for a test: the built command in a process of its own, in a folder of its own.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { newApiKey } from '../../src/identity/api-key.ts'
import { searchForLeaks, secretsOf, type Told, toldByRunning, toldInFiles } from './leaks.ts'

export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
export const REFERENCE_POLICIES = fileURLToPath(new URL('../../policies', import.meta.url))

/** Lets everybody with a key do everything, and says under which name. */
export const OPEN_POLICY = {
  'gateway.rego': 'package gateway\n\ndecision := {"allow": true, "rule": "open"}\n',
}

/** What a process of ours runs with: with coverage, where it leaves its own. */
function environment(own: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { CHILD_COVERAGE } = process.env
  return { ...process.env, ...(CHILD_COVERAGE ? { NODE_V8_COVERAGE: CHILD_COVERAGE } : {}), ...own }
}

export interface KeySpec {
  readonly principal: string
  readonly roles?: readonly string[]
  readonly team?: string
  readonly expires_at?: string
}

export interface GatewayOptions {
  /** The files of the policy folder; or the path of one elsewhere. */
  readonly policy?: Readonly<Record<string, string>> | string
  /** URLs of the servers in the pool `chat`, which serves `tiny`. */
  readonly targets?: readonly string[]
  /** Merged over the test's own config, section by section. */
  readonly config?: Readonly<Record<string, object>>
  readonly keys?: readonly KeySpec[]
  readonly env?: Readonly<Record<string, string>>
  /** Of `serve`, besides the config. */
  readonly args?: readonly string[]
  /** Another built command than that of this tree. */
  readonly cli?: string
  /** A config elsewhere, which is used as it is. */
  readonly configFile?: string
  /** Where its standard output goes: a file descriptor. */
  readonly stdout?: number
  /** What the shell lets it have, such as `-n 64` files, or `-f 40` blocks in one: see `ulimit`. */
  readonly ulimit?: string
  /** A command that runs it, as it is given behind its own words. */
  readonly within?: readonly string[]
  /** Reuse the folder of a gateway that was stopped or killed. */
  readonly folder?: string
}

export interface LogLine {
  readonly event: string
  readonly [name: string]: unknown
}

export interface AuditRecord {
  readonly event: string
  readonly decision_id?: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  readonly [name: string]: any
}

export interface RunningGateway {
  readonly folder: string
  readonly url: string
  readonly adminUrl: string
  readonly process: ChildProcess
  /** Secrets, by principal. */
  readonly keys: Readonly<Record<string, string>>
  /** What it must not tell anybody; searched for in all that it told, when it ends. */
  readonly secrets: Set<string>
  /** Writes files of the policy folder. */
  writePolicy(files: Readonly<Record<string, string>>): void
  /** Resolves with the first line of the log, past or to come, that fits and was not handed out before. */
  logged(event: string, fits?: (line: LogLine) => boolean): Promise<LogLine>
  log(): readonly LogLine[]
  /** All records that are in the audit file now. */
  audit(): AuditRecord[]
  /** Resolves with the first record that fits, once it is there. */
  audited(fits: (record: AuditRecord) => boolean): Promise<AuditRecord>
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  status(): Promise<any>
  /** Runs another command with this gateway's config. */
  command(...args: string[]): Promise<CommandResult>
  /** SIGTERM, unless told otherwise. @returns The exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<RunningGateway>()
/** All that were started and have not ended, whether or not they ever listened. */
const children = new Set<ChildProcess>()
const folders = new Set<string>()

/** For `afterEach`: nothing that a test started outlives it. */
export async function stopAll(): Promise<void> {
  // A process that is killed leaves no coverage behind.
  const signal = process.env.CHILD_COVERAGE ? 'SIGTERM' : 'SIGKILL'
  const ends = await Promise.allSettled([...running].map(gateway => gateway.stop(signal)))
  await Promise.all([...children].map(killed))
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  folders.clear()
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
}

export function newFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-test-'))
  folders.add(folder)
  return folder
}

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), text)
  }
}

export function runCommand(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  const env = environment(options.env)
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [CLI, ...args],
      { ...options, env, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr })
      },
    )
  })
}

export async function startGateway(options: GatewayOptions = {}): Promise<RunningGateway> {
  const folder = options.folder ?? newFolder()
  const keys = options.configFile === undefined ? prepare(folder, options) : {}
  const config = options.configFile ?? 'gateway.config.json'
  const within =
    options.ulimit === undefined
      ? (options.within ?? [])
      : ['sh', '-c', `ulimit ${options.ulimit}; exec "$0" "$@"`]
  const [program = '', ...args] = [
    ...within,
    ...[process.execPath, options.cli ?? CLI, 'serve', '--config', config, ...(options.args ?? [])],
  ]
  const child = spawn(program, args, {
    cwd: folder,
    env: environment(options.env),
    stdio: ['ignore', options.stdout ?? 'ignore', 'pipe'],
  })
  children.add(child)
  child.once('close', () => children.delete(child))
  const lines: LogLine[] = []
  const handedOut = new Set<LogLine>()
  const readers = new Set<() => void>()
  const other: string[] = []
  const { token } = (options.config?.admin ?? {}) as { token?: string }
  const secrets = new Set([...Object.values(keys), ...secretsOf(options.config)])
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', text => {
    if (text.startsWith('{')) lines.push(JSON.parse(text) as LogLine)
    else other.push(text)
    for (const reader of readers) reader()
  })

  function logged(event: string, fits: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const found = lines.find(line => line.event === event && !handedOut.has(line) && fits(line))
        if (found) {
          handedOut.add(found)
          settle(() => resolve(found))
        }
        return found !== undefined
      }
      const gone = (): void =>
        settle(() =>
          reject(
            new Error(`the gateway ended before ${event}:\n${JSON.stringify(lines)}\n${other.join('\n')}`),
          ),
        )
      const settle = (done: () => void): void => {
        readers.delete(look)
        child.off('close', gone)
        done()
      }
      if (look()) return
      readers.add(look)
      child.once('close', gone)
    })
  }

  const audit = (): AuditRecord[] => auditLines(folder).map(line => JSON.parse(line) as AuditRecord)

  const listening = await logged('listening')
  const gateway: RunningGateway = {
    folder,
    url: String(listening.url),
    adminUrl: String(listening.admin_url),
    process: child,
    keys,
    secrets,
    writePolicy: files => writeFiles(path.join(folder, 'policies'), files),
    logged,
    log: () => lines,
    audit,
    async audited(fits) {
      for (;;) {
        const found = audit().find(fits)
        if (found) return found
        await pause(10)
      }
    },
    status: async () => (await fetch(`${String(listening.admin_url)}/status`)).json(),
    command: (...args) =>
      runCommand(args, { cwd: folder, ...(options.env ? { env: { ...options.env } } : {}) }),
    async stop(signal = 'SIGTERM') {
      running.delete(gateway)
      const told: Told[] = []
      let code = child.exitCode
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, 'close')
        if (signal === 'SIGKILL') told.push(...(await toldByRunning(child, gateway.adminUrl, token)))
        child.kill(signal)
        code = (await closed)[0] as number | null
      }
      told.push({ where: 'its log', text: JSON.stringify(lines) + other.join('\n') }, ...toldInFiles(folder))
      searchForLeaks(told, secrets)
      return code
    },
  }
  running.add(gateway)
  return gateway
}

/** The whole lines that are in the audit file of a gateway now. */
export function auditLines(folder: string): string[] {
  return readFileSync(path.join(folder, 'audit.jsonl'), 'utf8')
    .split('\n')
    .filter(line => line.endsWith('}'))
}

/** Writes what the gateway will read. @returns The secrets of the keys. */
export function prepare(folder: string, options: GatewayOptions): Record<string, string> {
  const policy = options.policy ?? OPEN_POLICY
  if (typeof policy !== 'string') writeFiles(path.join(folder, 'policies'), policy)
  const own: Record<string, object> = {
    listen: { port: 0, drain: '5s' },
    admin: { port: 0 },
    policy: { path: typeof policy === 'string' ? policy : 'policies' },
    pools: {
      chat: { models: ['tiny'], targets: (options.targets ?? ['http://127.0.0.1:9']).map(url => ({ url })) },
    },
  }
  for (const [name, section] of Object.entries(options.config ?? {})) own[name] = { ...own[name], ...section }
  writeFileSync(path.join(folder, 'gateway.config.json'), JSON.stringify(own, null, 2))
  return options.keys || options.folder === undefined
    ? writeKeys(folder, options.keys ?? [{ principal: 'dev', roles: ['developer'] }])
    : {}
}

function writeKeys(folder: string, specs: readonly KeySpec[]): Record<string, string> {
  const secrets: Record<string, string> = {}
  const keys = specs.map(({ principal, roles = [], team, expires_at }) => {
    const { id, secret, digest } = newApiKey()
    secrets[principal] = secret
    return {
      id,
      hash: digest,
      principal,
      kind: 'service',
      roles,
      team: team ?? null,
      expires_at: expires_at ?? null,
    }
  })
  writeFileSync(path.join(folder, 'keys.json'), JSON.stringify({ keys }))
  return secrets
}

export interface ChatOptions {
  readonly key?: string | undefined
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Asks for a chat completion with `fetch`. Without `key` the principal `dev` asks. */
export function chat(
  gateway: Pick<RunningGateway, 'url' | 'keys' | 'secrets'>,
  { key = gateway.keys.dev, body, headers, signal }: ChatOptions = {},
): Promise<Response> {
  if (key) gateway.secrets.add(key)
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...headers,
    },
    body: JSON.stringify({
      model: 'tiny',
      max_tokens: 4,
      messages: [{ role: 'user', content: 'hello' }],
      ...body,
    }),
    ...(signal ? { signal } : {}),
  })
}

/** @returns The `error` of an answer in OpenAI's form. */
export async function errorOf(response: Response): Promise<{ code: string; message: string; type: string }> {
  return ((await response.json()) as { error: { code: string; message: string; type: string } }).error
}
