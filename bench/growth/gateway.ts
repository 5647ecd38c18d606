/**
 * A gateway for one point of a curve: with a policy, keys, data, targets and an audit log of a certain size.
 * Its policy looks at the clock, so that each request is decided anew.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createBatch } from '../../src/audit/batch.ts'
import { GENESIS } from '../../src/audit/chain.ts'
import { newApiKey } from '../../src/identity/api-key.ts'
import { pinned, type Running, start } from '../gateway/processes.ts'
import { SHIFT, writeReferencePolicy } from '../gateway/systems.ts'
import { lagArgs } from './lag.ts'

export interface Shape {
  /** Holders of keys; the one who asks is in the middle. */
  readonly principals?: number
  /** Of the policy's data, beside its own. */
  readonly dataBytes?: number
  readonly limits?: number
  readonly targets?: number
  readonly auditBytes?: number
}

export interface Grown {
  readonly port: number
  readonly folder: string
  readonly running: Running
  /** From its start until it listens, s. */
  readonly startSeconds: number
  /** Of the one who asks. */
  readonly secret: string
  stop(): Promise<void>
}

export interface Ground {
  readonly port: number
  readonly upstream: number
  /** On any unless told. */
  readonly core?: number
  /** Notes how long its event loop stands still, which costs some CPU. */
  readonly lag?: true
}

const ROOT = path.resolve(import.meta.dirname, '../..')
const CLI = path.join(ROOT, 'dist/cli.js')

export async function grow(shape: Shape, { port, upstream, core, lag }: Ground): Promise<Grown> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-growth-'))
  const { principals = 10, dataBytes = 0, limits, targets = 1, auditBytes = 0 } = shape
  writePolicy(path.join(folder, 'policies'), limits, dataBytes)
  const secret = writeKeys(path.join(folder, 'keys.json'), principals)
  if (auditBytes > 0) writeAudit(path.join(folder, 'audit.jsonl'), auditBytes)
  const config = {
    listen: { port },
    admin: { port: port + 1 },
    policy: { activation: { tests: false, maxEvaluation: '1s' }, maxMemory: '2GiB' },
    limits: { unauthenticated: false, connections: 20_000, connectionsPerAddress: 20_000 },
    pools: {
      chat: {
        models: ['tiny'],
        targets: Array.from({ length: targets }, (_, number) => ({
          url: `http://127.0.0.1:${upstream}/t${number}`,
        })),
      },
    },
  }
  writeFileSync(path.join(folder, 'gateway.config.json'), JSON.stringify(config))
  const command = {
    command: process.execPath,
    args: [...(lag ? lagArgs() : []), CLI, 'serve'],
    cwd: folder,
    port,
  }
  const served = { ...command, env: { NODE_ENV: 'production' } }
  const began = performance.now()
  const running = await start([core === undefined ? served : pinned(served, core)], 120)
  return {
    port,
    folder,
    running,
    startSeconds: (performance.now() - began) / 1000,
    secret,
    async stop() {
      await running.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The reference policy; with a number of limits, one that has just those. */
function writePolicy(folder: string, limits: number | undefined, dataBytes: number): void {
  if (limits === undefined) writeReferencePolicy(folder)
  else writeLimits(folder, limits)
  if (dataBytes === 0) return
  const entries = Array.from({ length: Math.ceil(dataBytes / ENTRY_BYTES) }, (_, number) => [
    `entry-${String(number).padStart(8, '0')}`,
    'a sentence of some forty-three characters ',
  ])
  mkdirSync(path.join(folder, 'growth'))
  writeFileSync(path.join(folder, 'growth/data.json'), JSON.stringify(Object.fromEntries(entries)))
}

const ENTRY_BYTES = 62

function writeLimits(folder: string, count: number): void {
  const limits = Array.from({ length: count }, (_, number) => ({
    name: `l${number}`,
    key: 'asker',
    unit: 'requests',
    limit: 1e8,
    window: '1m',
  }))
  const decision = JSON.stringify({ allow: true, rule: 'all', pool: 'chat', limits })
  mkdirSync(folder)
  writeFileSync(
    path.join(folder, 'gateway.rego'),
    `package gateway\n\ndecision := ${decision} if {\n\tinput.principal.authenticated\n\ttime.now_ns() > 0\n}\n`,
  )
}

/** @returns The secret of the one in the middle. */
function writeKeys(file: string, count: number): string {
  const asker = newApiKey()
  const keys = Array.from({ length: count }, (_, number) => {
    const { id, digest } = number === Math.floor(count / 2) ? asker : newApiKey()
    return {
      id,
      hash: digest,
      principal: `principal-${number}`,
      kind: 'service',
      roles: [SHIFT],
      team: 'bench',
      created_at: null,
      expires_at: null,
      revoked_at: null,
    }
  })
  writeFileSync(file, JSON.stringify({ keys }), { mode: 0o600 })
  return asker.secret
}

/** Lines of the usual length, in one chain. */
function writeAudit(file: string, bytes: number): void {
  const batch = createBatch()
  const record = `{"event":"growth","text":"${'x'.repeat(2000)}"}`
  let link = GENESIS
  for (let written = 0; written < bytes; written += batch.bytes().length) {
    batch.clear()
    for (let line = 0; line < 400; line++) link = batch.add(record, link)
    appendFileSync(file, batch.bytes(), { mode: 0o600 })
  }
  writeFileSync(`${file}.head`, JSON.stringify(link), { mode: 0o600 })
}
