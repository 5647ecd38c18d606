/**
 * The sinks of a config, opened: each where its last run left it, and each written by this process alone.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { GENESIS, type Link } from '../audit/chain.ts'
import { createSigner } from '../audit/checkpoint.ts'
import { createFileSink, type FileTrouble } from '../audit/file-sink.ts'
import { createHttpSink } from '../audit/http-sink.ts'
import { type Lock, takeLock } from '../audit/lock.ts'
import type { Channel, Checkpoints } from '../audit/log.ts'
import { type Recovery, recover } from '../audit/recover.ts'
import type { RotationRules } from '../audit/rotation.ts'
import { createSpool } from '../audit/spool.ts'
import { createStdoutSink } from '../audit/stdout-sink.ts'
import type {
  AuditConfig,
  FileSinkConfig,
  HttpSinkConfig,
  RotateConfig,
  SinkConfig,
} from '../contract/config/audit.ts'
import { sinkNames } from '../contract/sink-names.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'

export interface SinksNeeds {
  readonly config: AuditConfig
  readonly log: OperatorLog
  readonly metrics: Metrics
  /** Where what must outlive the process is kept. */
  readonly stateFolder: string
  now(): number
  random(): number
  /** Retention removed parts of a file. */
  onPruned(sink: string, paths: readonly string[], last: Link): void
}

export interface OpenSinks {
  readonly channels: readonly Channel[]
  /** Of each file, what its last run left. */
  readonly recoveries: readonly Recovery[]
  /** Lets others write. */
  release(): void
}

/** @throws when a sink cannot be opened, or another gateway writes it. */
export async function openSinks(needs: SinksNeeds): Promise<OpenSinks> {
  const { sinks } = needs.config
  const names = sinkNames(sinks)
  const locks: Lock[] = []
  const channels: Channel[] = []
  const recoveries: Recovery[] = []
  const release = (): void => {
    for (const lock of locks) lock.release()
  }
  try {
    for (const [index, sink] of sinks.entries()) {
      const name = names[index] as string
      const opened = await openSink(sink, name, needs, async file => {
        const lock = await lockOf(file, needs.log)
        if (lock) locks.push(lock)
      })
      channels.push({ ...opened, type: sink.type, name })
      if (opened.recovery) recoveries.push(opened.recovery)
    }
  } catch (error) {
    await Promise.all(channels.map(({ sink }) => sink.close()))
    release()
    throw error
  }
  return { channels, recoveries, release }
}

type Opened = Pick<Channel, 'sink' | 'from' | 'decides'> & { readonly recovery?: Recovery }

function openSink(
  sink: SinkConfig,
  name: string,
  needs: SinksNeeds,
  lock: (file: string) => Promise<void>,
): Promise<Opened> {
  if (sink.type === 'file') return openFile(sink, name, needs, lock)
  if (sink.type === 'http') return openUpload(sink, name, needs, lock)
  return Promise.resolve({ sink: createStdoutSink(), from: GENESIS, decides: true })
}

async function openFile(
  { path: file, sync, rotate }: FileSinkConfig,
  name: string,
  { log, now, onPruned }: SinksNeeds,
  lock: (file: string) => Promise<void>,
): Promise<Opened> {
  mkdirSync(path.dirname(file), { recursive: true })
  // Before anything is mended: what looks torn may be a line that another is writing.
  if (statSync(file, { throwIfNoEntry: false })?.isFile() ?? true) await lock(file)
  const recovery = await recover(file)
  const sink = createFileSink({
    path: file,
    sync,
    now,
    rotation: rotate && rulesOf(rotate),
    onTrouble: (what, error) =>
      log.warn(TROUBLES[what], { sink: name, message: (error as Error).message ?? String(error) }),
    onPruned: (paths, last) => onPruned(name, paths, last),
  })
  return { sink, from: recovery.from, decides: true, recovery }
}

const TROUBLES: Readonly<Record<FileTrouble, string>> = {
  head_failed: 'audit_head_failed',
  rotation_failed: 'audit_rotation_failed',
  file_gone: 'audit_file_gone',
}

function rulesOf({ size, interval, compress, keep, maxAge }: RotateConfig): RotationRules {
  return {
    compress,
    keep,
    maxBytes: size === undefined ? undefined : parseSize(size),
    intervalMs: interval === undefined ? undefined : parseDuration(interval),
    maxAgeMs: maxAge === undefined ? undefined : parseDuration(maxAge),
  }
}

async function openUpload(
  { url, resource, token, headers, interval, timeout, batch, buffer }: HttpSinkConfig,
  name: string,
  { config, log, metrics, stateFolder, random }: SinksNeeds,
  lock: (file: string) => Promise<void>,
): Promise<Opened> {
  const folder = buffer.path ?? path.join(stateFolder, 'audit-upload', name)
  mkdirSync(folder, { recursive: true })
  await lock(path.join(folder, 'spool'))
  // What is on record elsewhere may be dropped here; else its buffer is what makes a record written.
  const decides = config.sinks.every(({ type }) => type === 'http')
  const dropped = (records: number): void => metrics.auditRecords(name, records, 'dropped')
  const spool = createSpool({
    folder,
    maxBytes: parseSize(buffer.size),
    segmentBytes: parseSize(batch),
    mayDrop: !decides,
    onDropped: dropped,
  })
  const sink = createHttpSink({
    spool,
    url: `${url.replace(/\/+$/, '')}/${resource.replace(/^\/+/, '')}`,
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    intervalMs: parseDuration(interval),
    timeoutMs: parseDuration(timeout),
    random,
    onDelivered: records => metrics.auditRecords(name, records, 'written'),
    onDropped: dropped,
    onStateChange: (ok, cause) =>
      ok
        ? log.info('audit_upload_recovered', { sink: name })
        : log.warn('audit_upload_failed', { sink: name, message: String(cause) }),
  })
  return { sink, from: spool.from, decides }
}

async function lockOf(file: string, log: OperatorLog): Promise<Lock | undefined> {
  const lock = await takeLock(file)
  if (!lock) log.warn('audit_not_locked', { path: file, message: 'this file system has no sockets' })
  return lock
}

/** @throws when the key cannot be read or is none. */
export function checkpointsOf({ checkpoints }: AuditConfig): Checkpoints | undefined {
  if (!checkpoints) return undefined
  const { keyFile, every, interval } = checkpoints
  try {
    const signer = createSigner(readFileSync(keyFile, 'utf8'), every)
    return { signer, every, intervalMs: parseDuration(interval) }
  } catch (cause) {
    throw new Error(`audit.checkpoints.keyFile: ${(cause as Error).message}`, { cause })
  }
}
