/**
 * Processes of workers, and the way between them and their primary. The one door of `node:cluster`: what
 * they listen on is one socket, whose connections the primary hands to them in turn.
 */
import cluster from 'node:cluster'
import process from 'node:process'
import type { WorkerProcess } from './crew.ts'
import type { Port } from './wire.ts'

/** @param file - What a worker runs. @returns what starts one. */
export function workerProcesses(file: string): (number: number) => WorkerProcess {
  // Structures and bytes are sent as they are.
  cluster.setupPrimary({ exec: file, args: [], serialization: 'advanced' })
  return number => {
    const worker = cluster.fork({ [NUMBER]: String(number) })
    // Its end is told of by `exit`; a message to one that is gone is nobody's.
    worker.on('error', () => {})
    return {
      pid: worker.process.pid ?? 0,
      send: message => void (worker.isConnected() && worker.process.send(message as object, () => {})),
      onMessage: listener => void worker.on('message', listener),
      onExit: listener => void worker.once('exit', (code, signal) => listener({ code, signal })),
      kill: () => void worker.process.kill('SIGKILL'),
    }
  }
}

const NUMBER = 'SALLYPORT_WORKER'

/** Which worker this process is. */
export function workerNumber(): number {
  return Number(process.env[NUMBER])
}

/** The way to the primary. Without one this process ends at once: what nobody supervises must not serve. */
export function toPrimary(): Port {
  process.once('disconnect', () => process.exit(0))
  // These are for the primary, which says when to end; a terminal and systemd send them to everybody.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  return {
    send: message => void (process.connected && process.send?.(message, undefined, undefined, () => {})),
    onMessage: listener => void process.on('message', listener),
  }
}
