import { connect, createServer } from 'node:net'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { listenAt } from '../../src/server/listen-at.ts'
import { eventsOf } from '../support/events.ts'
import { newFolder, prepare, type RunningGateway, runCommand, writeFiles } from '../support/gateway.ts'
import { patientStore, redisServer, startRedis } from '../support/redis.ts'
import {
  ask,
  auditsOf,
  startWorkers,
  stopWithUpstreams,
  upstream,
  workerOf,
  workersOf,
} from '../support/workers.ts'

afterEach(stopWithUpstreams)

const metric = async (gateway: RunningGateway, series: string): Promise<number> => {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find(line => line.startsWith(series))
      ?.split(' ')
      .at(-1),
  )
}

describe('who operates a gateway of two workers', () => {
  it('follows the decisions of both, live and in the log, each once', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({ targets: [url] })
    const events = await eventsOf(`${gateway.adminUrl}/decisions?limit=1`)
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(gateway)))
    const asked = answers.map(({ headers }) => headers.get('x-decision-id')).sort()
    const seen: string[] = []
    while (seen.length < asked.length) seen.push(JSON.parse((await events.next()).data).decision_id)
    events.close()
    expect(seen.sort()).toEqual(asked)
    expect(new Set(asked.map(id => workerOf(gateway, id))).size).toBe(2)

    const live = await eventsOf(`${gateway.adminUrl}/live`)
    expect((await live.next()).event).toBe('snapshot')
    expect((await live.next()).event).toBe('second')
    live.close()

    const { stdout } = await gateway.command('audit', 'tail', '-n', '100', '--format', 'json')
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.filter(({ event }) => event === 'decision')).toHaveLength(6)
    expect(lines.map(({ event }) => event)).toContain('policy.activated')
    expect((await gateway.command('status', '--admin', gateway.adminUrl)).stdout).toMatch(
      /^workers +1: serves, process \d+\n +2: serves/m,
    )
  })

  it('sees what was counted still there when a worker is gone, and a candidate asked by both', async () => {
    const { url } = await upstream(call => call.answer())
    const candidate = path.join(newFolder(), 'candidate')
    writeFiles(candidate, { 'gateway.rego': 'package gateway\n\ndecision := {"allow": false}\n' })
    const gateway = await startWorkers({
      targets: [url],
      config: { policy: { candidate: { path: candidate } } },
    })
    for (let request = 0; request < 8; request++) expect((await ask(gateway)).status).toBe(200)
    await expect
      .poll(async () => (await gateway.status()).policy.candidate)
      .toMatchObject({ decided: 8, flips: 8 })
    const completed = 'sallyport_request_duration_seconds_count{outcome="completed"}'
    await expect.poll(() => metric(gateway, completed)).toBe(8)
    const [first] = await workersOf(gateway)
    process.kill(first?.pid ?? 0, 'SIGKILL')
    await gateway.logged('worker_ready', ({ worker, pid }) => worker === 1 && pid !== first?.pid)
    await expect.poll(() => metric(gateway, completed)).toBe(8)
    await Promise.all([ask(gateway), ask(gateway)])
    await expect.poll(() => metric(gateway, completed)).toBe(10)
    await expect.poll(() => metric(gateway, 'sallyport_candidate_flips_total')).toBe(10)
  })

  it('is not ready without a policy, and is when its files are mended', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({
      targets: [url],
      policy: { 'gateway.rego': 'package gateway\n\nnonsense' },
    })
    expect((await ask(gateway)).status).toBe(503)
    const ready = await fetch(`${gateway.adminUrl}/readyz`)
    expect([ready.status, (await ready.json()) as object]).toEqual([
      503,
      expect.objectContaining({ checks: expect.objectContaining({ serving: true, policy: false }) }),
    ])
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\ndecision := {"allow": true}\n' })
    await gateway.logged('policy_activated')
    expect(await Promise.all([ask(gateway), ask(gateway)].map(async one => (await one).status))).toEqual([
      200, 200,
    ])
    await expect.poll(async () => (await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
    // A worker that comes later has it before it takes requests.
    const [first] = await workersOf(gateway)
    process.kill(first?.pid ?? 0, 'SIGKILL')
    await gateway.logged('worker_ready', ({ worker, pid }) => worker === 1 && pid !== first?.pid)
    const [one, other] = await workersOf(gateway)
    expect(one?.revision).toBe(other?.revision)
    for (let request = 0; request < 4; request++) expect((await ask(gateway)).status).toBe(200)
  })

  it('decides by what all workers have in flight', async () => {
    const { url, calls, came } = await upstream()
    const policy = {
      'gateway.rego':
        'package gateway\n\ndefault decision := {"allow": false, "code": "enough"}\n\ndecision := {"allow": true} if input.pools.chat.in_flight < 3\n',
    }
    const gateway = await startWorkers({ targets: [url], policy })
    const running: Promise<Response>[] = []
    for (let request = 1; request <= 3; request++) {
      running.push(ask(gateway))
      await came(request)
    }
    const allowed = async (): Promise<boolean> => {
      const answer = await fetch(`${gateway.url}/-/authorize`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gateway.keys.dev}`, connection: 'close' },
        body: JSON.stringify({ body: { model: 'tiny', messages: [] } }),
      })
      return ((await answer.json()) as { decision: { allow: boolean } }).decision.allow
    }
    // What runs at the other one is known after a moment.
    await expect.poll(() => Promise.all([allowed(), allowed()])).toEqual([false, false])
    const targets = async () => (await gateway.status()).pools.chat.targets
    await expect.poll(targets).toEqual([expect.objectContaining({ in_flight: 3 })])
    for (const call of calls) call.answer()
    await Promise.all(running)
    await expect.poll(() => Promise.all([allowed(), allowed()])).toEqual([true, true])
  })

  it('has a flood of connections turned away, and not handed round for ever', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({ targets: [url], config: { limits: { connections: 4 } } })
    const { port, hostname } = new URL(gateway.url)
    const sockets = Array.from({ length: 1200 }, () => connect(Number(port), hostname))
    let closed = 0
    for (const socket of sockets) {
      socket.on('error', () => {})
      socket.on('close', () => closed++)
    }
    // Some are told; those beyond are closed unheard.
    await expect.poll(() => closed).toBeGreaterThan(900)
    for (const socket of sockets) socket.destroy()
    await expect.poll(async () => (await ask(gateway)).status).toBe(200)
  })

  it('ends it at once with a second SIGTERM, and all of it', async () => {
    const { url, came } = await upstream()
    const gateway = await startWorkers({ targets: [url] })
    const open = ask(gateway).catch(() => undefined)
    await came(1)
    const workers = await workersOf(gateway)
    const stopped = gateway.stop()
    await gateway.logged('stopping')
    gateway.process.kill('SIGTERM')
    expect(await stopped).toBe(3)
    expect(await open).toBeUndefined()
    for (const { pid } of workers) await expect.poll(() => isAlive(pid)).toBe(false)
  })

  it('is told why it cannot start', async () => {
    const taken = createServer()
    const port = await listenAt(taken, { host: '127.0.0.1', port: 0 })
    const folder = newFolder()
    prepare(folder, { config: { listen: { port }, store: { engine: 'sqlite', path: 'store.db' } } })
    const { code, stderr } = await runCommand(['serve', '--workers', '2'], { cwd: folder })
    taken.close()
    expect([code, stderr]).toEqual([3, expect.stringContaining('EADDRINUSE')])
  })

  it.runIf(redisServer() !== undefined)('has exact limits in Redis, too', async () => {
    const redis = await startRedis()
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({
      targets: [url],
      config: { store: patientStore(redis) },
      policy: {
        'gateway.rego':
          'package gateway\n\ndecision := {"allow": true, "limits": [{"name": "requests", "key": "all", "unit": "requests", "limit": 25, "window": "1h"}]}\n',
      },
    })
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(25)
    expect(new Set(auditsOf(gateway).map(({ labels }) => labels?.worker)).size).toBeGreaterThan(2)
    expect(await gateway.stop()).toBe(0)
    await redis.stop('SIGKILL')
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
