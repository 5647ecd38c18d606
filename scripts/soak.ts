/**
 * `npm run soak -- --minutes N`: mixed traffic with reloads, aborts, faults and grants at a built gateway,
 * and what grew meanwhile: memory, sockets, file descriptors, timers, leases, grants, requests that never
 * ended. Exits 1 when something did. With `--out FOLDER` it leaves the series and a drawing there.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { newFolder, startGateway, stopAll } from '../test/support/gateway.ts'
import { chance } from '../test/support/random.ts'
import { startRedis } from '../test/support/redis.ts'
import { DISTURBANCES, startModel, type World } from './soak/disturbance.ts'
import { drawing } from './soak/drawing.ts'
import { PEOPLE, policyOf } from './soak/policy.ts'
import { type Sample, sample } from './soak/sample.ts'
import { TRAFFIC } from './soak/traffic.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    /** Requests a second, in all. */
    rate: { type: 'string', default: '20' },
    store: { type: 'string', default: 'sqlite' },
    out: { type: 'string' },
  },
})
const [SAMPLE_MS, DISTURB_MS] = [5000, 10_000]
const duration = Number(values.minutes) * 60_000
const out = values.out ?? newFolder()
mkdirSync(out, { recursive: true })
const probe = path.resolve(out, 'probe.jsonl')
const redis = values.store === 'redis' ? await startRedis() : undefined
const model = await startModel()
const world: World = {
  model,
  redis,
  gateway: await startGateway({
    policy: policyOf(0),
    targets: [model.url],
    keys: PEOPLE,
    config: {
      limits: { unauthenticated: false },
      store: redis
        ? { engine: 'redis', url: redis.url, onFailure: 'local' }
        : values.store === 'sqlite'
          ? { engine: 'sqlite', path: 'store.db' }
          : { engine: values.store },
      audit: { sinks: [{ type: 'file', path: 'audit.jsonl', rotate: { size: '8MiB' } }] },
    },
    env: {
      NODE_OPTIONS: `--import ${fileURLToPath(new URL('soak/probe.mjs', import.meta.url))}`,
      SOAK_PROBE: probe,
      SOAK_PROBE_MS: String(Math.min(60_000, duration / 10)),
    },
  }),
}
const { gateway } = world
const startedAt = Date.now()
const until = startedAt + duration
const seeded = chance(1)
const deck = Object.entries(TRAFFIC).flatMap(([name, [share]]) => Array<string>(share).fill(name))
const counts: Record<string, { done: number; failed: number }> = {}
const open = new Set<Promise<void>>()

function send(): void {
  const name = seeded.pick(deck)
  const [, step] = TRAFFIC[name] as (typeof TRAFFIC)[string]
  counts[name] ??= { done: 0, failed: 0 }
  const count = counts[name]
  const sending = step(gateway)
    .then(
      () => void count.done++,
      () => void count.failed++,
    )
    .finally(() => open.delete(sending))
  open.add(sending)
}

async function traffic(): Promise<void> {
  while (Date.now() < until) {
    send()
    await pause(1000 / Number(values.rate))
  }
  await Promise.all(open)
}

const disturbed: Record<string, number> = {}
async function disturb(): Promise<void> {
  const all = Object.entries(DISTURBANCES)
  for (let turn = 1; Date.now() < until - 2 * DISTURB_MS; turn++) {
    await pause(DISTURB_MS)
    const [name, disturbance] = all[turn % all.length] as (typeof all)[number]
    await disturbance(world, turn)
    disturbed[name] = (disturbed[name] ?? 0) + 1
  }
}

const samples: Sample[] = []
async function look(): Promise<void> {
  // It may be stopped at this moment.
  const seen = await sample(gateway, startedAt).catch(() => undefined)
  if (!seen) return
  const file = path.join(out, 'soak.csv')
  if (samples.length === 0) writeFileSync(file, `${Object.keys(seen).join(',')}\n`)
  appendFileSync(file, `${Object.values(seen).join(',')}\n`)
  samples.push(seen)
}

async function watch(): Promise<void> {
  while (Date.now() < until) {
    await pause(SAMPLE_MS)
    await look()
  }
}

await look()
await Promise.all([traffic(), disturb(), watch()])
// Grants and requests that wait are over by then, and connections that nobody uses are closed.
await pause(65_000)
await look()
const after = samples.at(-1) as Sample
const collected = existsSync(probe)
  ? readFileSync(probe, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { at: number; heapUsed: number; resources: Record<string, number> })
  : []
const heap = collected.map(({ at, heapUsed }) => [(at - startedAt) / 1000, heapUsed / 2 ** 20] as const)
writeFileSync(path.join(out, 'soak.svg'), drawing(samples, heap))

const mean = (of: readonly number[]): number => of.reduce((sum, one) => sum + one, 0) / Math.max(1, of.length)
/** Of the last quarter over the second one: the first is warming up. */
function growth(of: readonly number[]): number {
  const quarter = Math.floor(of.length / 4)
  return mean(of.slice(-quarter)) / mean(of.slice(quarter, 2 * quarter)) - 1
}
const percent = (share: number): number => Math.round(share * 1000) / 10
const verify = await gateway.command('audit', 'verify', '--format', 'json')
const verdict = {
  minutes: Number(values.minutes),
  store: values.store,
  sent: counts,
  disturbed,
  cpu_percent: percent(after.cpu_seconds / after.seconds),
  rss_growth_percent: percent(growth(samples.map(({ rss_mib }) => rss_mib))),
  rss_mib: {
    first: samples[0]?.rss_mib,
    highest: Math.max(...samples.map(one => one.rss_mib)),
    after: after.rss_mib,
  },
  heap_growth_percent: percent(growth(heap.map(([, mib]) => mib))),
  heap_mib: { second_quarter: heap[Math.floor(heap.length / 4)]?.[1], last: heap.at(-1)?.[1] },
  after,
  awake: collected.at(-1)?.resources,
  audit: { code: verify.code, ...(JSON.parse(verify.stdout) as object) },
}
writeFileSync(path.join(out, 'soak.json'), JSON.stringify(verdict, null, 2))
process.stdout.write(`${JSON.stringify(verdict, null, 2)}\n`)
const grew =
  growth(samples.map(({ rss_mib }) => rss_mib)) > 0.15 ||
  growth(heap.map(([, mib]) => mib)) > 0.1 ||
  after.fds > (samples[0] as Sample).fds + 10 ||
  after.timers > (samples[0] as Sample).timers + 5 ||
  after.in_flight + after.queued + after.leases + after.grants > 0 ||
  verify.code !== 0
process.exitCode = grew ? 1 : 0
await gateway.stop()
await stopAll()
await world.model.close()
await world.redis?.stop('SIGKILL')
