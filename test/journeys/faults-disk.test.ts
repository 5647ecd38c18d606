import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import {
  chat,
  errorOf,
  newFolder,
  prepare,
  type RunningGateway,
  runCommand,
  startGateway,
  stopAll,
} from '../support/gateway.ts'
import { mayMount, mountAt, unmount, unmountAll } from '../support/mount.ts'

const LOG = { audit: { sinks: [{ type: 'file', path: 'log/audit.jsonl' }] } }
const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "limits": [
	{"name": "requests", "key": "all", "unit": "requests", "limit": 100000, "window": "1h"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": 50},
]}
`,
}

async function statusOf(gateway: RunningGateway): Promise<number> {
  // One whose outcome cannot be written any more is cut off.
  const answer = await chat(gateway).catch(() => undefined)
  await answer?.arrayBuffer().catch(() => {})
  return answer?.status ?? 0
}

/** Root may write what others may not, but not what is not there and not what cannot be written at all. */
describe('the disk', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(async () => {
    unmountAll()
    await stopAll()
  })
  afterAll(() => model.close())

  const start = (folder: string, config: Readonly<Record<string, object>>): Promise<RunningGateway> =>
    startGateway({ folder, policy: POLICY, targets: [model.url], keys: [{ principal: 'dev' }], config })

  /** Until one is refused. @returns How many were answered. */
  async function until(gateway: RunningGateway, status: number): Promise<number> {
    for (let answered = 0; ; answered++) if ((await statusOf(gateway)) === status) return answered
  }

  /** Not ready, nothing forwarded, and told why. */
  async function refuses(gateway: RunningGateway, code: string): Promise<void> {
    const reached = model.stats().requests
    const refused = await chat(gateway)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, expect.any(String)])
    expect((await errorOf(refused)).code).toBe(code)
    expect(model.stats().requests).toBe(reached)
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(503)
  }

  /** Without a restart. */
  async function serves(gateway: RunningGateway): Promise<void> {
    await expect.poll(() => statusOf(gateway)).toBe(200)
    await expect.poll(async () => (await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
  }

  it('from which the audit log is deleted: it is begun anew, and verify says what is missing', async () => {
    const gateway = await start(newFolder(), LOG)
    const file = path.join(gateway.folder, 'log/audit.jsonl')
    for (let count = 0; count < 5; count++) expect(await statusOf(gateway)).toBe(200)
    rmSync(file)
    const ids: string[] = []
    const clients = Array.from({ length: 4 }, async () => {
      for (let count = 0; count < 10; count++) {
        const answer = await chat(gateway)
        await answer.arrayBuffer()
        if (answer.status === 200) ids.push(String(answer.headers.get('x-decision-id')))
      }
    })
    await Promise.all(clients)
    expect(ids).toHaveLength(40)
    const lines = readFileSync(file, 'utf8').split('\n')
    for (const id of ids) expect(lines.filter(line => line.includes(id))).toHaveLength(2)
    await gateway.logged('audit_file_gone')
    await gateway.stop()
    const { code, stdout } = await gateway.command('audit', 'verify', '--format', 'json')
    expect([code, JSON.parse(stdout).problems]).toEqual([
      1,
      [expect.objectContaining({ line: 1, kind: 'removed' })],
    ])
  })

  if (!mayMount()) {
    it('cannot be made full or read-only here, which only root can', () => {
      console.warn('no mounts here: full and read-only disks are not tested')
      expect(process.env.SALLYPORT_REQUIRE_MOUNTS).toBeUndefined()
    })
    return
  }

  it('that is full of something else: refused while it is, and served again when there is room', async () => {
    const folder = newFolder()
    mountAt(path.join(folder, 'log'), 'size=300k')
    const ballast = path.join(folder, 'log/ballast')
    writeFileSync(ballast, Buffer.alloc(200_000))
    const gateway = await start(folder, LOG)
    expect(await until(gateway, 503)).toBeGreaterThan(10)
    await refuses(gateway, 'audit_unavailable')
    rmSync(ballast)
    await serves(gateway)
    expect(await gateway.stop()).toBe(0)
    const verified = await gateway.command('audit', 'verify', '--format', 'json')
    expect(JSON.parse(verified.stdout).problems).toEqual([])
  })

  it('that becomes read-only: refused while it is, and served again when it can be written', async () => {
    const folder = newFolder()
    const gateway = await start(folder, LOG)
    expect(await statusOf(gateway)).toBe(200)
    // A disk with open files cannot be made read-only by hand; one that is read-only can be put over it.
    mountAt(path.join(folder, 'log'), 'ro,size=100k')
    await until(gateway, 503)
    await refuses(gateway, 'audit_unavailable')
    expect(existsSync(path.join(folder, 'log/audit.jsonl'))).toBe(false)
    unmount(path.join(folder, 'log'))
    await serves(gateway)
    await gateway.stop()
    const verified = await gateway.command('audit', 'verify', '--format', 'json')
    expect(JSON.parse(verified.stdout).problems).toEqual([])
  })

  it('that is read-only from the beginning: it does not start, and says why', async () => {
    const folder = newFolder()
    prepare(folder, { policy: POLICY, config: LOG })
    mountAt(path.join(folder, 'log'), 'ro,size=100k')
    const { code, stderr } = await runCommand(['serve'], { cwd: folder })
    expect([code, stderr]).toEqual([3, expect.stringContaining('EROFS')])
  })

  it('of the store that is full: what is limited is refused, and nothing is forgotten', async () => {
    const folder = newFolder()
    mountAt(path.join(folder, 'state'), 'size=600k')
    const ballast = path.join(folder, 'state/ballast')
    const gateway = await start(folder, { store: { engine: 'sqlite', path: 'state/store.db' } })
    for (let count = 0; count < 5; count++) expect(await statusOf(gateway)).toBe(200)
    try {
      for (let size = 400_000; size > 0; size -= 4096)
        writeFileSync(ballast, Buffer.alloc(4096), { flag: 'a' })
    } catch {
      // Now it is full.
    }
    const answered = await until(gateway, 503)
    await refuses(gateway, 'overloaded')
    rmSync(ballast)
    await serves(gateway)
    const { limits } = (await (
      await fetch(`${gateway.url}/-/whoami`, { headers: { authorization: `Bearer ${gateway.keys.dev}` } })
    ).json()) as { limits: { name: string; remaining: number }[] }
    const left = Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]))
    expect(left.requests).toBeLessThanOrEqual(100_000 - 5 - answered)
    expect(left.streams).toBe(50)
  })
})
