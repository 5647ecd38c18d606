/**
 * Processes of a benchmark: started, waited for, pinned to a core where that can be done, and what they
 * took of the machine, from the operating system's own books.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import net from 'node:net'

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Where it listens once it is ready. */
  readonly port?: number
}

export interface Running {
  readonly pids: readonly number[]
  stop(): Promise<void>
}

const CAN_PIN = has('taskset')

export function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
}

/** The same on one core, where the machine has more than one. */
export function pinned({ command, args, ...rest }: Command, core: number): Command {
  return CAN_PIN
    ? { ...rest, command: 'taskset', args: ['-c', String(core), command, ...args] }
    : { ...rest, command, args }
}

/** @throws when one ends or does not listen within ten seconds, unless told. */
export async function start(commands: readonly Command[], seconds = 10): Promise<Running> {
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    for (const child of children.reverse()) await ended(child)
  }
  try {
    for (const { command, args, env, cwd, port } of commands) {
      const child = spawn(command, args, {
        env: { ...process.env, ...env },
        cwd,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      let said = ''
      child.stderr?.on('data', part => {
        said = (said + part).slice(-2000)
      })
      children.push(child)
      if (port !== undefined) await listening(port, child, () => said, seconds)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return { pids: children.map(({ pid }) => pid as number), stop }
}

async function listening(
  port: number,
  child: ChildProcess,
  said: () => string,
  seconds: number,
): Promise<void> {
  for (let tries = 0; tries < 20 * seconds; tries++) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${said()}`)
    if (await connects(port)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`${child.spawnfile} does not listen on ${port}: ${said()}`)
}

function connects(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const over = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await over
  clearTimeout(timer)
}

/** Of processes and all below them. */
export interface Taken {
  /** User and system, µs. */
  readonly cpu: number
  readonly memoryBytes: number
}

/** The kernel counts in hundredths of a second. */
const TICK_US = 10_000
const PAGE_BYTES = 4096

export function takenBy(pids: readonly number[]): Taken {
  const parents = new Map<number, number>()
  const facts = new Map<number, Taken>()
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(name) : undefined
    if (!stat) continue
    parents.set(Number(name), Number(stat[1]))
    facts.set(Number(name), {
      cpu: (Number(stat[11]) + Number(stat[12])) * TICK_US,
      memoryBytes: Number(stat[21]) * PAGE_BYTES,
    })
  }
  const isOurs = (pid: number): boolean =>
    pids.includes(pid) || (parents.has(pid) && isOurs(parents.get(pid) as number))
  let cpu = 0
  let memoryBytes = 0
  for (const [pid, taken] of facts) {
    if (!isOurs(pid)) continue
    cpu += taken.cpu
    memoryBytes += taken.memoryBytes
  }
  return { cpu, memoryBytes }
}

/** What follows the name of the process, which may hold anything. */
function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
