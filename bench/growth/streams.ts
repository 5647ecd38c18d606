/**
 * Streams that stay open: what each takes of memory while nothing comes, and what a chunk costs.
 */
import net from 'node:net'
import { takenBy } from '../gateway/processes.ts'
import { chat, requestText } from '../gateway/scenarios.ts'
import type { Grown } from './gateway.ts'

export interface StreamsTaken {
  readonly bytesPerStream: number
  readonly cpuPerChunk: number
}

/** @param intervalMs - Between two chunks of a stream. */
export async function holdStreams(gateway: Grown, count: number, intervalMs: number): Promise<StreamsTaken> {
  const { pids } = gateway.running
  const request = requestText(
    { body: chat(1024, { stream: true }) },
    { authorization: `Bearer ${gateway.secret}` },
  )
  const before = takenBy(pids).memoryBytes
  let chunks = 0
  const sockets: net.Socket[] = []
  const opened = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = net.connect(gateway.port, '127.0.0.1', () => socket.write(request))
      sockets.push(socket)
      socket.on('error', reject)
      socket.on('data', part => {
        chunks += part.toString('latin1').split('data: {').length - 1
        resolve()
      })
    })
  try {
    for (let next = 0; next < count; next += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - next) }, opened))
    }
    await passed(SETTLED_MS)
    const [cpu, seen] = [takenBy(pids).cpu, chunks]
    await passed(Math.max(4 * intervalMs, 4000))
    const after = takenBy(pids)
    return {
      bytesPerStream: (after.memoryBytes - before) / count,
      cpuPerChunk: (after.cpu - cpu) / (chunks - seen),
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

const AT_ONCE = 100
const SETTLED_MS = 3000

const passed = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
