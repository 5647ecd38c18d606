/**
 * What a second worker is worth: requests a second and CPU per request with `--workers 1` and more, in turn,
 * over and over. Generator, model server and store run on the same cores as what is measured.
 *
 * With the reference policy each request is counted in the store, by several limits; with the
 * others by none, and `heavy` makes the gateway by far the largest cost.
 *
 *     npm run bench:workers -- [--workers 1,2] [--stores sqlite,redis] [--policies reference,open,heavy]
 *       [--rounds 5] [--seconds 3]
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { LoadOrder, LoadResult } from '../gateway/load.ts'
import { type Command, has, type Running, start, takenBy } from '../gateway/processes.ts'
import { CHUNKS, INTERVAL_MS, requestText, SCENARIOS, type Scenario } from '../gateway/scenarios.ts'
import { type Place, type System, sallyport } from '../gateway/systems.ts'

const execute = promisify(execFile)
const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,2' },
    stores: { type: 'string', default: 'sqlite,redis' },
    policies: { type: 'string', default: 'reference,open,heavy' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    port: { type: 'string', default: '18400' },
  },
})
const BASE = Number(values.port)
const LOAD = path.join(import.meta.dirname, '../gateway')
const [SCENARIO] = SCENARIOS as readonly [Scenario]

/** Besides the reference policy. What `heavy` has to think takes more than all the rest. */
const POLICIES: Readonly<Record<string, string>> = {
  open: 'package gateway\n\ndecision := {"allow": true, "rule": "open"}\n',
  heavy: `package gateway

decision := {"allow": true, "rule": "heavy"} if {
	count([n | some n in numbers.range(1, 1000); n % 7 == input.request.body_bytes % 7]) > 0
}
`,
}

interface Contender {
  readonly system: System
  readonly place: Place
  readonly running: Running
  readonly rounds: Round[]
}

interface Round {
  readonly perSecond: number
  /** Of all processes of the gateway, µs. */
  readonly cpu: number
  readonly p99: number
}

const script = (name: string, ...args: string[]): Command => ({
  command: process.execPath,
  args: ['--import', 'tsx', path.join(LOAD, name), ...args],
})

function storeOf(name: string): object {
  return name === 'redis'
    ? { engine: 'redis', url: `redis://127.0.0.1:${BASE + 1}` }
    : { engine: 'sqlite', path: 'store.db' }
}

async function enter(policy: string, store: string, workers: string, index: number): Promise<Contender> {
  const name = `${policy} policy, ${store}, ${workers} ${workers === '1' ? 'process' : 'workers'}`
  const own = path.join(folder, String(index))
  mkdirSync(own)
  const place = { port: BASE + 10 + index, aux: 0, upstream: BASE, folder: own }
  const system = sallyport(name, '', {
    args: ['--workers', workers],
    members: () => ({ store: storeOf(store) }),
  })
  const commands = system.commands(place)
  const rego = POLICIES[policy]
  if (rego !== undefined) {
    rmSync(path.join(own, 'policies'), { recursive: true })
    mkdirSync(path.join(own, 'policies'))
    writeFileSync(path.join(own, 'policies/gateway.rego'), rego)
  }
  return { system, place, running: await start(commands, 20), rounds: [] }
}

async function measure({ system, place, running, rounds }: Contender): Promise<void> {
  const request = path.join(place.folder, 'request')
  writeFileSync(request, requestText(SCENARIO, system.headers(SCENARIO, place)))
  const { connections, status } = SCENARIO
  const order: LoadOrder = { port: place.port, connections, request, status, seconds: Number(values.seconds) }
  const before = takenBy(running.pids)
  const { command, args } = script('load.ts', JSON.stringify(order))
  const { stdout } = await execute(command, [...args], { timeout: 120_000 })
  const { answers, wrong, seconds, whole } = JSON.parse(stdout) as LoadResult
  if (wrong > 0 || answers === 0) throw new Error(`${system.name}: ${wrong} of ${answers} answers were wrong`)
  const cpu = (takenBy(running.pids).cpu - before.cpu) / answers
  rounds.push({ perSecond: answers / seconds, cpu, p99: whole.p99 })
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0
}

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
const helpers: Command[] = [
  { ...script('upstream.ts', String(BASE), String(CHUNKS), String(INTERVAL_MS)), port: BASE },
]
const stores = values.stores.split(',').filter(store => store !== 'redis' || has('redis-server'))
if (stores.includes('redis'))
  helpers.push({
    command: 'redis-server',
    args: ['--port', String(BASE + 1), '--save', '', '--appendonly', 'no'],
    cwd: folder,
    port: BASE + 1,
  })
const helping = await start(helpers)
const contenders: Contender[] = []
try {
  for (const policy of values.policies.split(','))
    for (const store of stores)
      for (const workers of values.workers.split(','))
        contenders.push(await enter(policy, store, workers, contenders.length))
  // The first round warms up, and is not kept.
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      await measure(contender)
      if (round === 0) contender.rounds.length = 0
    }
  }
  console.log(`${SCENARIO.about}, ${cpus().length} cores, which generator and model server share\n`)
  console.log('| | requests/s | CPU per request, µs | p99, ms |\n| --- | ---: | ---: | ---: |')
  for (const { system, rounds } of contenders) {
    const of = (fact: keyof Round): number => median(rounds.map(round => round[fact]))
    console.log(
      `| ${system.name} | ${Math.round(of('perSecond'))} | ${Math.round(of('cpu'))} | ${(of('p99') / 1000).toFixed(1)} |`,
    )
  }
} finally {
  for (const { running } of contenders) await running.stop()
  await helping.stop()
  rmSync(folder, { recursive: true, force: true })
}
