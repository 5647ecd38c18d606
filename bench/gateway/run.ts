/**
 * The benchmark: every system is started, checked, warmed, and then measured in turn, over and over, so that
 * what else the machine does falls on all of them alike. CPU per answer is the main figure.
 *
 *     npm run bench -- [--systems a,b] [--scenarios S1,S2] [--warm 4] [--rounds 5] [--seconds 3] [--write]
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { admitTable } from './admit.ts'
import type { LoadOrder, LoadResult } from './load.ts'
import { type Command, pinned, type Running, start, takenBy } from './processes.ts'
import { type Measured, type Round, report } from './report.ts'
import { CHUNKS, INTERVAL_MS, requestText, SCENARIOS, type Scenario } from './scenarios.ts'
import { type Place, SYSTEMS, type System } from './systems.ts'

const execute = promisify(execFile)
const { values } = parseArgs({
  options: {
    systems: { type: 'string', default: SYSTEMS.map(({ name }) => name).join() },
    scenarios: { type: 'string', default: SCENARIOS.map(({ name }) => name).join() },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    warm: { type: 'string', default: '4' },
    port: { type: 'string', default: '18200' },
    write: { type: 'boolean', default: false },
  },
})
const HERE = import.meta.dirname
const SECONDS = Number(values.seconds)
/** What is measured has a core of its own, where there are two. */
const [LOAD_CORE, SYSTEM_CORE] = cpus().length > 1 ? [0, 1] : [0, 0]

interface Contender {
  readonly system: System
  readonly place: Place
  readonly running: Running
}

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
const base = Number(values.port)
const script = (name: string, ...args: string[]): Command => ({
  command: process.execPath,
  args: ['--import', 'tsx', path.join(HERE, name), ...args],
})

const upstream = await start([
  pinned(
    { ...script('upstream.ts', String(base), String(CHUNKS), String(INTERVAL_MS)), port: base },
    LOAD_CORE,
  ),
])
const contenders: Contender[] = []
try {
  for (const [index, system] of SYSTEMS.filter(({ name }) =>
    values.systems.split(',').includes(name),
  ).entries()) {
    const missing = system.missing()
    if (missing === undefined) contenders.push(await enter(system, index))
    else console.error(`${system.name} is left out: ${missing}`)
  }
  const measured: Measured[] = []
  for (const scenario of SCENARIOS.filter(({ name }) => values.scenarios.split(',').includes(name))) {
    measured.push(await measure(scenario))
  }
  await report(measured, {
    write: values.write,
    seconds: SECONDS,
    warm: Number(values.warm),
    admit: await admitTable(),
  })
} finally {
  for (const { running } of contenders) await running.stop()
  await upstream.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function enter(system: System, index: number): Promise<Contender> {
  const own = path.join(folder, system.name)
  mkdirSync(own)
  const place = { port: base + 10 + 2 * index, aux: base + 11 + 2 * index, upstream: base, folder: own }
  const running = await start(system.commands(place).map(command => pinned(command, SYSTEM_CORE)))
  return { system, place, running }
}

async function measure(scenario: Scenario): Promise<Measured> {
  const rounds = new Map<string, Round[]>()
  // The first rounds warm up and are not kept; what answers wrongly then is left out.
  for (const contender of contenders) {
    if (!contender.system.refuses && scenario.caller !== 'known') continue
    try {
      for (let round = 0; round < Number(values.warm); round++) await once(contender, scenario)
      rounds.set(contender.system.name, [])
    } catch (error) {
      console.error(`${contender.system.name} is left out of ${scenario.name}: ${(error as Error).message}`)
    }
  }
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const contender of contenders) {
      const own = rounds.get(contender.system.name)
      if (!own) continue
      const taken = await once(contender, scenario)
      own.push(taken)
      process.stderr.write(
        `${scenario.name} ${round}/${values.rounds} ${contender.system.name}: ${Math.round(taken.cpuPerAnswer)} µs\n`,
      )
    }
  }
  return { scenario, rounds }
}

async function once({ system, place, running }: Contender, scenario: Scenario): Promise<Round> {
  const status = system.statuses?.[scenario.caller] ?? scenario.status
  const request = path.join(place.folder, `${scenario.name}.request`)
  writeFileSync(request, requestText(scenario, system.headers(scenario, place)))
  const order: LoadOrder = {
    port: place.port,
    connections: scenario.connections,
    request,
    status,
    seconds: scenario.answers === undefined ? SECONDS : 60,
    ...(scenario.answers === undefined ? {} : { answers: scenario.answers }),
  }
  const before = takenBy(running.pids)
  const { command, args } = pinned(script('load.ts', JSON.stringify(order)), LOAD_CORE)
  const { stdout } = await execute(command, [...args], { timeout: 120_000 })
  const after = takenBy(running.pids)
  const result = JSON.parse(stdout) as LoadResult
  if (result.wrong > 0 || result.answers === 0) {
    throw new Error(
      `${system.name}, ${scenario.name}: ${result.wrong} of ${result.answers} answers were wrong`,
    )
  }
  return {
    ...result,
    cpuPerAnswer: (after.cpu - before.cpu) / result.answers,
    memoryBytes: after.memoryBytes,
  }
}
