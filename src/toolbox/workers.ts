/**
 * `serve --workers`: a primary, and what it starts as workers.
 */
import { createServer } from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GatewayOptions } from '../gateway/gateway.ts'
import { createPrimary, type SharedGateway } from '../gateway/primary.ts'
import { listenAt } from '../server/listen-at.ts'
import { workerProcesses } from '../workers/processes.ts'

/** Beside this file, as it is run: compiled, or from its source. */
const WORKER = fileURLToPath(new URL(`./worker${path.extname(import.meta.url)}`, import.meta.url))

export function startPrimary(options: GatewayOptions, workers: number): Promise<SharedGateway> {
  return createPrimary({ ...options, workers, start: workerProcesses(WORKER), freePort })
}

async function freePort(host: string): Promise<number> {
  const server = createServer()
  const port = await listenAt(server, { host, port: 0 })
  await new Promise(resolve => void server.close(resolve))
  return port
}
