import { readdirSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { startTinySlm } from '../../examples/tiny-slm/server.ts'
import { ACCESS_POLICY, ask as askAccess, call, PEOPLE } from '../support/access.ts'
import { chat, newFolder, prepare, type RunningGateway, runCommand } from '../support/gateway.ts'
import {
  ask,
  auditOf,
  auditsOf,
  startWorkers,
  stopWithUpstreams,
  upstream,
  workerOf,
  workersOf,
} from '../support/workers.ts'

afterEach(stopWithUpstreams)

// biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
const admin = async (gateway: RunningGateway, what: string, init?: RequestInit): Promise<any> =>
  (await fetch(`${gateway.adminUrl}${what}`, init)).json()

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const limited = (limit: number): Record<string, string> => ({
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "limited", "limits": [
	{"name": "requests", "key": input.principal.id, "unit": "requests", "limit": ${limit}, "window": "1h"},
]}
`,
})

const ruled = (rule: string): Record<string, string> => ({
  'gateway.rego': `package gateway\n\ndecision := {"allow": true, "rule": "${rule}"}\n`,
})

describe('a gateway of two workers', () => {
  it('serves with both of them, counts a limit once, and tells of both as one', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({ targets: [url], policy: limited(20) })
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(gateway)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(10)
    const served = new Set(answers.map(({ headers }) => workerOf(gateway, headers.get('x-decision-id'))))
    expect([...served].sort()).toEqual([1, 2])

    // A worker that is late with its part is left out once.
    const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text()
    await expect.poll(metrics).toMatch(/^sallyport_requests_total\{[^}]*outcome="completed"[^}]*\} 20$/m)
    await expect.poll(metrics).toMatch(/^sallyport_limit_refusals_total\{name="requests"\} 10$/m)
    const whole = await metrics()
    expect(whole.match(/^sallyport_policy_info\{/gm)).toHaveLength(1)
    expect(whole.match(/^# TYPE process_cpu_seconds_total /gm)).toHaveLength(1)

    const decisions = async (query: string): Promise<{ decision_id: string }[]> =>
      (await admin(gateway, `/decisions?limit=1000${query}`)).decisions
    await expect.poll(async () => (await decisions('')).length).toBe(30)
    await expect.poll(async () => (await decisions('&outcome=completed')).length).toBe(20)
    const decision_id = String(answers[0]?.headers.get('x-decision-id'))
    await expect.poll(() => admin(gateway, `/decisions/${decision_id}`)).toMatchObject({ decision_id })
    await expect
      .poll(async () => (await admin(gateway, '/limits')).limits)
      .toEqual([expect.objectContaining({ name: 'requests', limit: 20, remaining: 0 })])
    await expect
      .poll(async () => {
        const { seconds } = await admin(gateway, '/live')
        return (seconds as { requests: number }[]).reduce((sum, { requests }) => sum + requests, 0)
      })
      .toBe(30)

    const verified = JSON.parse((await gateway.command('audit', 'verify', '--format', 'json')).stdout)
    expect(verified).toMatchObject({ ok: true, problems: [] })
    expect(verified.records).toBe(auditsOf(gateway).length)
    const explained = await gateway.command('explain', 'audit.jsonl', '--decision', decision_id)
    expect([explained.code, explained.stdout]).toEqual([0, expect.stringContaining('limited')])
    const { total } = JSON.parse((await gateway.command('audit', 'stats', '--format', 'json')).stdout)
    expect(total).toMatchObject({ requests: 30, refused: 10 })
    expect(await gateway.stop()).toBe(0)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })

  it('never has more requests at a target than it has slots, and leaves none of them idle', async () => {
    const slots = 3
    let now = 0
    let most = 0
    const { url } = await upstream(call => {
      most = Math.max(most, ++now)
      setTimeout(() => {
        now--
        call.answer()
      }, 5)
    })
    const gateway = await startWorkers({
      config: {
        pools: {
          chat: { models: ['tiny'], targets: [{ url, slots }], queue: { max: 200 } },
        },
      },
    })
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway)))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    }
    expect(most).toBe(slots)
  })

  it('sends by a slot that another worker has and does not use, even where nobody may wait', async () => {
    const { url, calls, came } = await upstream()
    const gateway = await startWorkers({
      config: { pools: { chat: { models: ['tiny'], targets: [{ url, slots: 1 }], queue: { max: 0 } } } },
    })
    let [last, moves] = [0, 0]
    for (let turn = 1; moves < 3; turn++) {
      let answer = ask(gateway)
      let refused = await Promise.race([came(turn), answer])
      // Nobody waits for long for a worker that is late in giving its slot away.
      const atOnce = refused === undefined
      while (refused !== undefined) {
        expect(refused.status).toBe(503)
        answer = ask(gateway)
        refused = await Promise.race([came(turn), answer])
      }
      if (turn % 2 === 0) expect((await ask(gateway)).status).toBe(503)
      calls[turn - 1]?.answer()
      const { status, headers } = await answer
      expect(status).toBe(200)
      const worker = workerOf(gateway, headers.get('x-decision-id'))
      if (atOnce && last !== 0 && worker !== last) moves++
      last = worker
    }
  })

  it('decides by the old policy or the new one, and once the reload is answered by the new one alone', async () => {
    const { url } = await upstream(call => call.answer())
    const gateway = await startWorkers({
      targets: [url],
      policy: ruled('rule_0'),
      config: { policy: { watch: false } },
    })
    const ruleOf = async (): Promise<string> => {
      const id = (await ask(gateway)).headers.get('x-decision-id')
      return auditsOf(gateway).find(({ decision_id }) => decision_id === id)?.result.rule
    }
    for (let edit = 1; edit <= 3; edit++) {
      gateway.writePolicy(ruled(`rule_${edit}`))
      let reloaded = false
      const reload = admin(gateway, '/policy/reload', { method: 'POST' }).finally(() => {
        reloaded = true
      })
      while (!reloaded)
        for (const rule of await Promise.all(Array.from({ length: 4 }, ruleOf)))
          expect([`rule_${edit - 1}`, `rule_${edit}`]).toContain(rule)
      const { revision } = await reload
      const after = await Promise.all(Array.from({ length: 8 }, ruleOf))
      expect(new Set(after)).toEqual(new Set([`rule_${edit}`]))
      expect((await workersOf(gateway)).map(worker => worker.revision)).toEqual([revision, revision])
    }
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\ndecision := nonsense\n' })
    await admin(gateway, '/policy/reload', { method: 'POST' })
    expect(new Set(await Promise.all(Array.from({ length: 4 }, ruleOf)))).toEqual(new Set(['rule_3']))
    const { from } = await admin(gateway, '/policy/rollback', { method: 'POST' })
    expect(from).toEqual(expect.any(String))
    expect(new Set(await Promise.all(Array.from({ length: 4 }, ruleOf)))).toEqual(new Set(['rule_2']))
  })

  it('replaces a worker that is killed, closes what it had open, and goes on serving meanwhile', async () => {
    const { url, calls, came } = await upstream()
    const gateway = await startWorkers({ targets: [url] })
    const open = ask(gateway).catch(() => undefined)
    await came(1)
    const [decision] = auditsOf(gateway).filter(({ event }) => event === 'decision')
    const lost = Number(decision?.labels.worker)
    const before = await workersOf(gateway)
    process.kill(before[lost - 1]?.pid ?? 0, 'SIGKILL')
    await gateway.logged('worker_lost', ({ worker, signal }) => worker === lost && signal === 'SIGKILL')
    expect(await open).toBeUndefined()
    const meanwhile = ask(gateway)
    await came(2)
    calls[1]?.answer()
    expect((await meanwhile).status).toBe(200)
    await gateway.logged(
      'worker_ready',
      ({ worker, pid }) => worker === lost && pid !== before[lost - 1]?.pid,
    )
    expect(auditOf(gateway, lost)).toContainEqual(
      expect.objectContaining({
        event: 'outcome',
        decision_id: decision?.decision_id,
        outcome: 'interrupted',
      }),
    )
    expect(gateway.audit()).toContainEqual(
      expect.objectContaining({ event: 'worker.lost', worker: lost, signal: 'SIGKILL' }),
    )
    expect((await workersOf(gateway)).map(({ ready }) => ready)).toEqual([true, true])
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain(`sallyport_worker_restarts_total{worker="${lost}"} 1\n`)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })

  it('has each answer on record and leaves nothing open, however often workers are killed under load', async () => {
    const { url } = await upstream(call => void setTimeout(call.answer, 5))
    const gateway = await startWorkers({ targets: [url], policy: ruled('rule_0') })
    const answered: string[] = []
    let over = false
    const load = Array.from({ length: 8 }, async () => {
      while (!over) {
        // One that was on its way to a worker that is no more may wait for ever.
        const signal = AbortSignal.timeout(2000)
        const id = await chat(gateway, { headers: { connection: 'close' }, signal }).then(
          async response => {
            await response.json()
            return response.headers.get('x-decision-id')
          },
          () => null,
        )
        if (id !== null) answered.push(id)
      }
    })
    for (let kill = 0; kill < 4; kill++) {
      const killed = (await workersOf(gateway))[kill % 2]
      process.kill(killed?.pid ?? 0, 'SIGKILL')
      gateway.writePolicy(ruled(`rule_${kill + 1}`))
      await expect
        .poll(async () => (await workersOf(gateway)).find(({ id }) => id === killed?.id))
        .toMatchObject({
          ready: true,
          restarts: Math.floor(kill / 2) + 1,
        })
      await gateway.logged('policy_activated')
    }
    over = true
    await Promise.all(load)
    expect(await gateway.stop()).toBe(0)
    const records = auditsOf(gateway)
    const ended = new Map(
      records.filter(({ event }) => event === 'outcome').map(one => [one.decision_id, one.outcome]),
    )
    expect(answered.length).toBeGreaterThan(20)
    expect(new Set(answered.map(id => ended.get(id)))).toEqual(new Set(['completed']))
    const open = records.filter(({ event, decision_id }) => event === 'decision' && !ended.has(decision_id))
    expect(open).toEqual([])
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })

  it('lets what runs finish at SIGTERM, and leaves no process behind when it is killed', async () => {
    const { url, calls, came } = await upstream()
    const gateway = await startWorkers({ targets: [url] })
    const running = [ask(gateway), ask(gateway)]
    await came(2)
    const stopped = gateway.stop()
    await gateway.logged('stopping')
    for (const call of calls) call.answer()
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200])
    expect(await stopped).toBe(0)
    const ends = auditsOf(gateway).filter(({ event }) => event === 'gateway.stopped')
    expect(ends).toHaveLength(3)

    const again = await startWorkers({ targets: [url], folder: gateway.folder })
    const pids = (await workersOf(again)).map(({ pid }) => pid)
    expect(pids.map(alive)).toEqual([true, true])
    await again.stop('SIGKILL')
    await expect.poll(() => pids.map(alive)).toEqual([false, false])
  })

  it('ends at one what stands on a grant that is given back or revoked at the other, at once', async () => {
    const model = await startTinySlm({ models: ['tiny'], tokensPerSecond: 20 })
    const gateway = await startWorkers({ targets: [model.url], policy: ACCESS_POLICY, keys: PEOPLE })
    const dev = { key: gateway.keys.dev, headers: { connection: 'close' } }
    for (let turn = 0; turn < 4; turn++) {
      const { id } = (await askAccess(gateway, 'dev', { models: ['tiny'], ticket: String(turn) })).body
      const { grant } = (await call(gateway, 'lea', `POST /-/access/requests/${id}/approve`)).body
      const streams = await Promise.all(
        Array.from({ length: 2 }, () =>
          chat(gateway, { ...dev, body: { stream: true, max_tokens: 4000, ignore_eos: true } }),
        ),
      )
      expect(streams.map(({ status }) => status)).toEqual([200, 200])
      if (turn % 2 === 0) await call(gateway, 'dev', `DELETE /-/access/grants/${grant.id}`)
      else await admin(gateway, `/access/grants/${grant.id}`, { method: 'DELETE' })
      const after = await Promise.all([chat(gateway, dev), chat(gateway, dev)])
      expect(after.map(({ status }) => status)).toEqual([403, 403])
      for (const stream of streams) expect(await stream.text()).toContain('"code":"revoked"')
    }
    const { grants } = JSON.parse((await gateway.command('access', 'report', '--format', 'json')).stdout)
    expect(
      grants.map(({ requests, ended }: { requests: number; ended: unknown }) => [requests, !ended]),
    ).toEqual(Array(4).fill([2, false]))
    await model.close()
  })

  it('counts failed attempts of an address with all workers together', async () => {
    const gateway = await startWorkers({
      config: { limits: { unauthenticated: { limit: 6, window: '1m' } } },
    })
    const statuses: number[] = []
    for (let attempt = 0; attempt < 8; attempt++)
      statuses.push((await chat(gateway, { key: 'wrong', headers: { connection: 'close' } })).status)
    expect(statuses).toEqual([...Array(6).fill(401), 429, 429])
  })

  it('puts a new config in force with all workers before it says so', async () => {
    const [one, two] = [await upstream(call => call.answer()), await upstream(call => call.answer())]
    const gateway = await startWorkers({ targets: [one.url] })
    prepare(gateway.folder, {
      folder: gateway.folder,
      targets: [two.url],
      config: { store: { engine: 'sqlite', path: 'state/store.db' } },
    })
    await gateway.logged('config_applied')
    for (let request = 0; request < 6; request++) expect((await ask(gateway)).status).toBe(200)
    expect([one.calls.length, two.calls.length]).toEqual([0, 6])
  })
})

describe('serve --workers', () => {
  it('is refused where workers could share nothing, and with what is no number of them', async () => {
    const folder = newFolder()
    prepare(folder, {})
    const serve = (...args: string[]) => runCommand(['serve', ...args], { cwd: folder })
    const memory = await serve('--workers', '2')
    expect([memory.code, memory.stderr]).toEqual([2, expect.stringContaining('store.engine')])
    expect((await serve('--workers', '0')).code).toBe(2)
    prepare(folder, {
      config: {
        store: { engine: 'sqlite', path: 'store.db' },
        audit: { sinks: [{ type: 'stdout' }] },
      },
    })
    const stdout = await serve('--workers', '2')
    expect([stdout.code, stdout.stderr]).toEqual([2, expect.stringContaining('stdout')])
    expect(readdirSync(folder)).not.toContain('audit.jsonl')
  })

  it('is the plain gateway with one, and closes what workers of before had open', async () => {
    const { url, came } = await upstream()
    const gateway = await startWorkers({ targets: [url] })
    const open = ask(gateway).catch(() => undefined)
    await came(1)
    await gateway.stop('SIGKILL')
    await open
    const [decision] = auditsOf(gateway).filter(({ event }) => event === 'decision')
    const plain = await startWorkers({ targets: [url], folder: gateway.folder, args: ['--workers', '1'] })
    expect((await plain.status()).workers).toBeUndefined()
    expect(auditsOf(plain)).toContainEqual(
      expect.objectContaining({
        event: 'outcome',
        decision_id: decision?.decision_id,
        outcome: 'interrupted',
      }),
    )
    expect((await plain.command('audit', 'verify')).code).toBe(0)
  })
})
