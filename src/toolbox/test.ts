/**
 * `test`: the policy's unit tests and scenarios, on the engine that serves.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { Finding } from '../contract/findings.ts'
import { openWorkshop, type Workshop } from '../policy/compile/compile.ts'
import { requireOpa } from '../policy/compile/opa-command.ts'
import type { Coverage } from '../policy/compile/opa-output.ts'
import { readSource, type Snapshot, SourceError } from '../policy/compile/source.ts'
import { runScenarios, type ScenarioRun, type ScenarioText } from '../policy/scenarios/run.ts'
import { type CrossCheck, crossCheck } from '../policy/tests/cross-check.ts'
import { configFor, shownPath } from './config.ts'
import { CommandExit, CommandFailure, EXIT, type ReportFormat } from './output.ts'
import { type Setting, settingOf } from './setting.ts'
import { hasFailed, printTests, type TestReport } from './test-report.ts'
import { withRules } from './test-rules.ts'
import { isWanted, type TestTarget, testTargets } from './test-targets.ts'
import { watchTests } from './test-watch.ts'

export interface TestOptions {
  readonly config: string
  readonly format: ReportFormat
  readonly run?: RegExp
  readonly coverage?: boolean
  /** Per cent of lines. */
  readonly threshold?: number
  readonly watch?: boolean
}

export async function test(paths: readonly string[], options: TestOptions): Promise<void> {
  const { targets } = whatToTest(paths, options)
  if (options.watch) return watchTests(targets, options.config, () => once(paths, options))
  await once(paths, options)
}

async function once(paths: readonly string[], options: TestOptions): Promise<void> {
  const report = await runTests(paths, options)
  printTests(report, options.format)
  if (hasFailed(report)) throw new CommandExit(EXIT.findings)
}

async function runTests(paths: readonly string[], options: TestOptions): Promise<TestReport> {
  const { config, targets } = whatToTest(paths, options)
  const runs: Run[] = []
  for (const target of targets) runs.push(await testTarget(target, settingOf(config), options))
  return {
    results: runs.flatMap(run => run.results),
    findings: runs.flatMap(run => run.findings),
    coverage: lowest(runs.map(run => run.coverage).filter(coverage => coverage !== undefined)),
    threshold: options.threshold,
  }
}

/** Only with a path is there something to test without a config. */
function whatToTest(
  paths: readonly string[],
  options: TestOptions,
): { config: GatewayConfig | undefined; targets: TestTarget[] } {
  const needed = paths.length === 0 || existsSync(options.config)
  const config = needed ? configFor(options.config, options.format) : undefined
  const policy = config?.policy.path
  const configured = policy !== undefined && isFolder(policy) ? policy : undefined
  if (paths.length === 0 && configured === undefined)
    throw new CommandFailure(
      EXIT.usage,
      'the policy of the config is no folder, and so has no tests: name one',
    )
  return { config, targets: testTargets(paths.length > 0 ? paths : [configured as string], configured) }
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false
}

interface Run extends ScenarioRun {
  readonly coverage: Coverage | undefined
}

async function testTarget(target: TestTarget, setting: Setting, options: TestOptions): Promise<Run> {
  const snapshot = sourceOf(target)
  const shown = shownPath(target.folder)
  const workshop = await openWorkshop(snapshot, requireOpa(), shown)
  try {
    const units = await unitTests(target, snapshot, workshop, setting, options)
    // What does not compile is told once.
    const run = units.findings.some(stops)
      ? NOTHING
      : await scenarios(target, snapshot, workshop, setting, options)
    return {
      results: [...units.results, ...run.results],
      findings: [...units.findings, ...run.findings],
      coverage: units.coverage,
    }
  } finally {
    workshop.close()
  }
}

const NOTHING: ScenarioRun = { results: [], findings: [] }
const stops = ({ code }: Finding): boolean => code.startsWith('rego_')

function sourceOf({ folder }: TestTarget): Snapshot {
  try {
    return readSource(folder)
  } catch (error) {
    if (error instanceof SourceError) throw new CommandFailure(EXIT.usage, error.message)
    throw error
  }
}

function unitTests(
  { folder, only }: TestTarget,
  snapshot: Snapshot,
  workshop: Workshop,
  { maxMemoryBytes }: Setting,
  { run, coverage, threshold }: TestOptions,
): Promise<CrossCheck> {
  return crossCheck({
    snapshot,
    workshop,
    opa: requireOpa(),
    shown: shownPath(folder),
    instant: { nowNs: BigInt(Date.now()) * 1_000_000n, seed: 'test' },
    maxMemoryBytes,
    coverage: coverage === true || threshold !== undefined,
    wanted: ({ name, file }) => (run?.test(name) ?? true) && isWanted(file, only),
  })
}

async function scenarios(
  target: TestTarget,
  snapshot: Snapshot,
  workshop: Workshop,
  setting: Setting,
  { run }: TestOptions,
): Promise<ScenarioRun> {
  const files = scenarioFiles(target, snapshot)
  if (files.length === 0) return NOTHING
  const { bundle, findings } = await workshop.buildPolicy(setting.entrypoint)
  if (!bundle) return { results: [], findings }
  const policy = { ...setting, bundle, revision: snapshot.revision }
  const { entrypoint } = setting
  const traced = {
    workshop,
    snapshot,
    entrypoint,
    dataText: bundle.dataText,
    shown: shownPath(target.folder),
  }
  return withRules(
    runScenarios(files, policy, setting, name => run?.test(name) ?? true),
    traced,
  )
}

function scenarioFiles({ folder, only, scenarios }: TestTarget, snapshot: Snapshot): ScenarioText[] {
  const own = snapshot.files
    .filter(({ name }) => name.endsWith('.scenario.yaml') && isWanted(path.join(folder, name), only))
    .map(({ name, bytes }) => ({ shown: path.join(shownPath(folder), name), text: bytes.toString('utf8') }))
  const more = scenarios.map(file => ({ shown: shownPath(file), text: readFileSync(file, 'utf8') }))
  return [...own, ...more]
}

/** Of several policies each must reach the threshold. */
function lowest(all: readonly Coverage[]): Coverage | undefined {
  const percent = Math.min(...all.map(coverage => coverage.percent))
  return all.length === 0
    ? undefined
    : { percent, files: Object.assign({}, ...all.map(coverage => coverage.files)) }
}
