import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { partsOf } from '../../src/audit/parts.ts'
import {
  type AuditRecord,
  chat,
  errorOf,
  newFolder,
  OPEN_POLICY,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'

let model: TinySlm
beforeAll(async () => {
  model = await startTinySlm({ tokensPerSecond: 100 })
})
/** Run before what was started is stopped and its folders go. */
const unmounts: (() => void)[] = []
afterEach(async () => {
  for (const unmount of unmounts.splice(0)) unmount()
  await stopAll()
})
afterAll(() => model.close())

const fileOf = (gateway: RunningGateway): string => path.join(gateway.folder, 'audit.jsonl')

async function verified(gateway: RunningGateway, ...args: string[]) {
  const { code, stdout } = await gateway.command('audit', 'verify', '--format', 'json', ...args)
  return { code, ...JSON.parse(stdout) }
}

const recordsIn = (text: string): AuditRecord[] =>
  text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as AuditRecord)

/** A decision-log service, as OPA knows it. */
async function collector() {
  const uploads: { url: string; authorization: string | undefined; records: AuditRecord[] }[] = []
  const server = createServer(async (request, response) => {
    const list = JSON.parse(gunzipSync(await buffer(request)).toString()) as AuditRecord[]
    uploads.push({ url: request.url ?? '', authorization: request.headers.authorization, records: list })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const records = (): AuditRecord[] => uploads.flatMap(upload => upload.records)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, uploads, records }
}

describe('two gateways', () => {
  it('cannot write one audit file: the second says so and exits with 3', async () => {
    const first = await startGateway({ targets: [model.url] })
    const { code, stderr } = await runCommand(['serve'], { cwd: first.folder })
    expect(code).toBe(3)
    expect(stderr).toContain('another gateway')
    await (await chat(first)).arrayBuffer()
    await first.stop('SIGKILL')
    // What was killed keeps nothing locked.
    const second = await startGateway({ folder: first.folder, targets: [model.url] })
    expect(await second.stop()).toBe(0)
    expect(await verified(first)).toMatchObject({ code: 0, ok: true })
    expect(existsSync(`${fileOf(first)}.lock`)).toBe(false)
  })
})

describe('a rotated audit log', () => {
  const sinks = [{ type: 'file', path: 'audit.jsonl', rotate: { size: '4KiB', compress: true } }]

  it('is whole after kill -9, closes what was open in an older part, and is read by every command', async () => {
    const first = await startGateway({ targets: [model.url], config: { audit: { sinks } } })
    const stream = await chat(first, { body: { stream: true, max_tokens: 2000, ignore_eos: true } })
    const id = stream.headers.get('x-decision-id')
    for (let request = 0; request < 20; request++) await (await chat(first)).arrayBuffer()
    await first.stop('SIGKILL')
    await stream.text().catch(() => {})
    expect(partsOf(fileOf(first)).length).toBeGreaterThan(4)

    const second = await startGateway({
      folder: first.folder,
      targets: [model.url],
      config: { audit: { sinks } },
    })
    await expect
      .poll(() =>
        partsOf(fileOf(first))
          .slice(0, -1)
          .every(part => part.endsWith('.gz')),
      )
      .toBe(true)
    await second.stop()
    // Now that no part is packed while it is read.
    const interrupted = partsOf(fileOf(first))
      .map(part => (part.endsWith('.gz') ? gunzipSync(readFileSync(part)) : readFileSync(part)).toString())
      .flatMap(recordsIn)
      .filter(record => record.outcome === 'interrupted')
    expect(interrupted.map(record => record.decision_id)).toEqual([id])
    expect(await verified(first)).toMatchObject({ code: 0, ok: true, problems: [] })
    const replayed = await first.command('replay', 'audit.jsonl', '--format', 'json')
    expect(JSON.parse(replayed.stdout)).toMatchObject({ records: 21, decided: 21, flips: 0 })
  })

  it('loses its oldest parts to retention, and verify knows that they are not missing', async () => {
    const kept = [{ ...sinks[0], rotate: { size: '4KiB', keep: 2 } }]
    const gateway = await startGateway({ targets: [model.url], config: { audit: { sinks: kept } } })
    for (let request = 0; request < 20; request++) await (await chat(gateway)).arrayBuffer()
    await gateway.logged('audit_pruned')
    await gateway.stop()
    const found = await verified(gateway)
    expect(found).toMatchObject({ code: 0, ok: true, anchored: true })
    expect(found.pruned_before).toBeGreaterThan(1)
    expect(partsOf(fileOf(gateway)).length).toBeLessThanOrEqual(4)
    expect(existsSync(`${fileOf(gateway)}.2`)).toBe(true)
  })
})

describe('several sinks', () => {
  it('each have every record, in a chain of their own', async () => {
    const server = await collector()
    const out = path.join(newFolder(), 'stdout')
    const stdout = openSync(out, 'a')
    onTestFinished(() => closeSync(stdout))
    const gateway = await startGateway({
      targets: [model.url],
      stdout,
      config: {
        audit: {
          sinks: [
            { type: 'file' },
            { type: 'stdout' },
            { type: 'http', url: server.url, token: 'secret', interval: '50ms' },
          ],
        },
      },
    })
    const response = await chat(gateway)
    await response.arrayBuffer()
    const id = response.headers.get('x-decision-id')
    const of = (records: readonly AuditRecord[]) =>
      records.filter(record => record.decision_id === id).map(record => record.event)
    expect(of(gateway.audit())).toEqual(['decision', 'outcome'])
    expect(of(recordsIn(readFileSync(out, 'utf8')))).toEqual(['decision', 'outcome'])
    await expect.poll(() => of(server.records())).toEqual(['decision', 'outcome'])
    expect(server.uploads[0]).toMatchObject({ url: '/logs', authorization: 'Bearer secret' })
    const { audit } = await gateway.status()
    expect(audit).toMatchObject({ ok: true, seq: gateway.audit().length })
    expect(audit.sinks.map((sink: { name: string; ok: boolean }) => [sink.name, sink.ok])).toEqual([
      ['file', true],
      ['stdout', true],
      ['http', true],
    ])
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    for (const sink of ['file', 'stdout', 'http'])
      expect(metrics).toMatch(
        new RegExp(`sallyport_audit_records_total{sink="${sink}",outcome="written"} [1-9]`),
      )
    await gateway.stop()
    expect((await gateway.command('audit', 'verify', out)).code).toBe(0)
  })

  it('answer while a server for uploads is dead, and upload after a restart what it missed', async () => {
    const sinks = (url: string) => ({
      audit: { sinks: [{ type: 'file' }, { type: 'http', url, interval: '50ms' }] },
    })
    const first = await startGateway({ targets: [model.url], config: sinks('http://127.0.0.1:9') })
    const response = await chat(first)
    expect(response.status).toBe(200)
    await response.arrayBuffer()
    await first.logged('audit_upload_failed')
    const { audit } = await first.status()
    expect(audit.ok).toBe(true)
    expect(audit.sinks[1]).toMatchObject({ name: 'http', ok: false })
    expect((await fetch(`${first.adminUrl}/readyz`)).status).toBe(200)
    await first.stop('SIGKILL')

    const server = await collector()
    await startGateway({ folder: first.folder, targets: [model.url], config: sinks(server.url) })
    const id = response.headers.get('x-decision-id')
    await expect.poll(() => server.records().filter(record => record.decision_id === id)).toHaveLength(2)
    expect(server.records().map(record => record.chain.seq)).toEqual(
      server.records().map((_, index) => index + 1),
    )
  })
})

describe('masks of the policy', () => {
  const masks = (rules: string) => ({
    ...OPEN_POLICY,
    'mask.rego': `package gateway\n\n${rules}\n`,
  })
  const asked = async (gateway: RunningGateway) => {
    const response = await chat(gateway, { headers: { 'openai-team': 'search', 'openai-other': 'kept' } })
    expect(response.status).toBe(200)
    await response.arrayBuffer()
    const id = response.headers.get('x-decision-id')
    return gateway
      .audit()
      .find(record => record.event === 'decision' && record.decision_id === id) as AuditRecord
  }

  it('remove, replace and hash what they name, and the record says where', async () => {
    const gateway = await startGateway({
      targets: [model.url],
      config: { audit: { maskKey: 'a key of sixteen letters' } },
      policy: masks(`mask contains "/input/request/headers/openai-team"

mask contains {"op": "upsert", "path": "/input/request/headers/openai-other", "value": "***"} if {
	input.input.request.headers["openai-other"]
	input.event == "decision"
}

mask contains {"op": "hash", "path": "/input/principal/id"}`),
    })
    const [one, other] = [await asked(gateway), await asked(gateway)]
    expect(one.input.request.headers['openai-team']).toBeUndefined()
    expect(one.input.request.headers['openai-other']).toBe('***')
    expect(one.erased).toContain('/input/request/headers/openai-team')
    expect(one.masked).toContain('/input/principal/id')
    expect(one.principal.id).toMatch(/^hmac-sha256:[0-9a-f]{64}$/)
    expect(other.principal.id).toBe(one.principal.id)
    await gateway.stop()
    expect(await verified(gateway)).toMatchObject({ ok: true })
  })

  it('may differ by sink', async () => {
    const server = await collector()
    const gateway = await startGateway({
      targets: [model.url],
      config: {
        audit: {
          sinks: [{ type: 'file' }, { type: 'http', name: 'abroad', url: server.url, interval: '50ms' }],
        },
      },
      policy: masks('mask contains "/input" if input.sink == {"type": "http", "name": "abroad"}'),
    })
    const kept = await asked(gateway)
    expect(kept.input.principal.id).toBe('dev')
    const sent = () => server.records().find(record => record.decision_id === kept.decision_id)
    await expect.poll(sent).toBeDefined()
    expect(sent()?.input).toBeUndefined()
    expect(sent()?.erased).toContain('/input')
  })

  it('that fail leave out everything, and never nothing', async () => {
    const gateway = await startGateway({
      targets: [model.url],
      policy: masks('mask contains {"op": "hash", "path": "/input/principal/id"}'),
    })
    const record = await asked(gateway)
    expect(record.input).toBeUndefined()
    expect(record.mask_error).toContain('maskKey')
    await gateway.logged('audit_mask_failed')
    await gateway.stop()
    const replayed = await gateway.command('replay', 'audit.jsonl', '--format', 'json')
    expect(JSON.parse(replayed.stdout)).toMatchObject({ records: 1, decided: 0, masked: 1 })
  })
})

describe('checkpoints', () => {
  it('are signed with a key that a command made, and find a log that was rewritten whole', async () => {
    const folder = newFolder()
    expect((await runCommand(['audit', 'keygen'], { cwd: folder })).code).toBe(0)
    const config = { audit: { checkpoints: { keyFile: 'audit.key', every: 5 } } }
    const gateway = await startGateway({ folder, targets: [model.url], config, keys: [{ principal: 'dev' }] })
    for (let request = 0; request < 6; request++) await (await chat(gateway)).arrayBuffer()
    await gateway.stop()
    const whole = await verified(gateway, '--public-key', 'audit.key.pub')
    expect(whole).toMatchObject({ code: 0, ok: true, signed_up_to: whole.records - 1 })
    expect(gateway.audit().filter(record => record.event === 'checkpoint').length).toBeGreaterThan(2)

    await runCommand(['audit', 'keygen', '-o', 'other.key'], { cwd: folder })
    const forged = await verified(gateway, '--public-key', 'other.key.pub')
    expect(forged).toMatchObject({ code: 1, ok: false })
    expect(forged.problems[0].kind).toBe('forged')
  })
})

/** A disk without room: a limit that the kernel keeps, and where we may, a file system that is full. */
interface Disk {
  readonly folder: string
  /** There is no more room. */
  fill(pid: number): void
  /** There is room again. */
  free(pid: number): void
}

function limited(): Disk {
  const prlimit = (pid: number, soft: string): void =>
    void execFileSync('prlimit', ['--pid', String(pid), `--fsize=${soft}:unlimited`])
  return {
    folder: newFolder(),
    fill: pid => prlimit(pid, '0'),
    free: pid => prlimit(pid, 'unlimited'),
  }
}

function mounted(): Disk | undefined {
  const folder = newFolder()
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder])
  if (status !== 0) return undefined
  // Before the folder itself goes.
  unmounts.push(() => execFileSync('umount', ['-l', folder]))
  const ballast = path.join(folder, 'ballast')
  return {
    folder,
    fill() {
      const fd = openSync(ballast, 'w')
      try {
        for (;;) writeFileSync(fd, Buffer.alloc(4096))
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC')
      } finally {
        closeSync(fd)
      }
    },
    free: () => rmSync(ballast),
  }
}

describe('a disk that fills up', () => {
  it.each([
    ['by a limit', limited],
    // Needs the right to mount; where there is none the limit is tested twice.
    ['for real', () => mounted() ?? limited()],
  ])('%s refuses what cannot be recorded, and goes on by itself when there is room', async (_, make) => {
    const disk = make()
    const file = path.join(disk.folder, 'log', 'audit.jsonl')
    const gateway = await startGateway({
      targets: [model.url],
      config: { audit: { sinks: [{ type: 'file', path: file }] } },
    })
    const pid = gateway.process.pid as number
    const statuses: number[] = []
    const ask = async (): Promise<Response> => {
      const response = await chat(gateway)
      statuses.push(response.status)
      return response
    }
    await (await ask()).arrayBuffer()
    disk.fill(pid)
    const reached = model.stats().requests
    let refused = await ask()
    // What is left of the last block may take some lines.
    for (let more = 0; refused.status === 200 && more < 20; more++) {
      await refused.arrayBuffer()
      refused = await ask()
    }
    expect((await errorOf(refused)).code).toBe('audit_unavailable')
    expect(model.stats().requests - reached).toBe(statuses.filter(status => status === 200).length - 1)
    expect((await gateway.status()).audit).toMatchObject({ ok: false, sinks: [{ ok: false }] })
    disk.free(pid)
    expect((await ask()).status).toBe(200)
    expect((await gateway.status()).audit.ok).toBe(true)
    await gateway.stop()
    const { code } = await runCommand(['audit', 'verify', file])
    expect(code).toBe(0)
  })

  it('lets requests through with onFailure allow, and counts them', async () => {
    const disk = limited()
    const file = path.join(disk.folder, 'audit.jsonl')
    const gateway = await startGateway({
      targets: [model.url],
      config: { audit: { sinks: [{ type: 'file', path: file }], onFailure: 'allow' } },
    })
    // All that a start records is written before this is answered.
    await (await chat(gateway)).arrayBuffer()
    disk.fill(gateway.process.pid as number)
    const response = await chat(gateway)
    expect(response.status).toBe(200)
    await response.arrayBuffer()
    const { audit } = await gateway.status()
    expect(audit).toMatchObject({ ok: false, lost: 2 })
  })
})

describe('a file that is taken away', () => {
  it('is begun anew, also when its folder was renamed, and what was answered is in one or the other', async () => {
    const folder = newFolder()
    const logs = path.join(folder, 'logs')
    mkdirSync(logs)
    const file = path.join(logs, 'audit.jsonl')
    const gateway = await startGateway({
      targets: [model.url],
      config: { audit: { sinks: [{ type: 'file', path: file }] } },
    })
    const ids: (string | null)[] = []
    const ask = async () => {
      const response = await chat(gateway)
      await response.arrayBuffer()
      ids.push(response.headers.get('x-decision-id'))
    }
    await ask()
    renameSync(logs, path.join(folder, 'old'))
    await ask()
    await ask()
    await gateway.logged('audit_file_gone')
    await gateway.stop()
    const old = path.join(folder, 'old', 'audit.jsonl')
    const outcomes = [old, file]
      .flatMap(part => recordsIn(readFileSync(part, 'utf8')))
      .filter(record => record.event === 'outcome')
    expect(outcomes.map(record => record.decision_id)).toEqual(ids)
    const { code } = await runCommand(['audit', 'verify', old, file])
    expect(code).toBe(0)
  })
})
