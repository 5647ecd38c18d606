/**
 * A gateway of several workers, and what of it only several have.
 */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import {
  type AuditRecord,
  chat,
  type GatewayOptions,
  type RunningGateway,
  startGateway,
  stopAll,
} from './gateway.ts'
import { startUpstream, type Upstream, type UpstreamCall } from './upstream.ts'

export interface WorkerFacts {
  readonly id: number
  readonly pid: number
  readonly ready: boolean
  readonly revision: string | null
  readonly restarts: number
}

const upstreams: Upstream[] = []

/** For `afterEach`: gateways first, then the model servers behind them. */
export async function stopWithUpstreams(): Promise<void> {
  await stopAll()
  await Promise.all(upstreams.splice(0).map(upstream => upstream.close()))
}

export async function upstream(onCall?: (call: UpstreamCall) => void): Promise<Upstream> {
  const started = await startUpstream(onCall ? { onCall } : {})
  upstreams.push(started)
  return started
}

export function startWorkers(options: GatewayOptions = {}): Promise<RunningGateway> {
  return startGateway({
    ...options,
    args: ['--workers', '2', ...(options.args ?? [])],
    config: { store: { engine: 'sqlite', path: 'state/store.db' }, ...options.config },
  })
}

/** Each on a connection of its own: those are handed to the workers in turn. */
export function ask(gateway: RunningGateway, body?: object): Promise<Response> {
  return chat(gateway, { headers: { connection: 'close' }, ...(body && { body }) })
}

export async function workersOf(gateway: RunningGateway): Promise<readonly WorkerFacts[]> {
  return (await gateway.status()).workers
}

/** Everything in the log of a worker. */
export function auditOf(gateway: RunningGateway, worker: number): AuditRecord[] {
  return readFileSync(path.join(gateway.folder, `audit.worker-${worker}.jsonl`), 'utf8')
    .split('\n')
    .filter(line => line.endsWith('}'))
    .map(line => JSON.parse(line) as AuditRecord)
}

/** The logs of all, and their primary's. */
export function auditsOf(gateway: RunningGateway): AuditRecord[] {
  const workers = readdirSync(gateway.folder)
    .map(name => Number(/^audit\.worker-(\d+)\.jsonl$/.exec(name)?.[1]))
    .filter(worker => worker > 0)
  return [...gateway.audit(), ...workers.flatMap(worker => auditOf(gateway, worker))]
}

/** Which worker decided, by the label of its record. */
export function workerOf(gateway: RunningGateway, decisionId: string | null): number {
  const record = auditsOf(gateway).find(
    ({ event, decision_id }) => event === 'decision' && decision_id === decisionId,
  )
  return Number(record?.labels.worker)
}
