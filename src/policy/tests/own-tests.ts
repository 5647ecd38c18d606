/**
 * A policy's own tests, before it is put in force: unit tests and scenarios, on the engine that will serve.
 */
import path from 'node:path'
import type { Finding } from '../../contract/findings.ts'
import type { EpochMs } from '../../contract/units.ts'
import type { Bundle } from '../bundles/bundle.ts'
import { openWorkshop, type Workshop } from '../compile/compile.ts'
import { type OpaCommand, requireOpa } from '../compile/opa-command.ts'
import type { TestResult } from '../compile/opa-output.ts'
import type { Snapshot } from '../compile/source.ts'
import { SAMPLE_INSTANT } from '../samples.ts'
import { runScenarios, type ScenarioNeeds, type ScenarioRun } from '../scenarios/run.ts'
import { runUnitTests } from './unit-tests.ts'

export interface OwnTestNeeds {
  /** How the folder is written in findings. */
  readonly shown: string
  readonly entrypoint: string
  /** The gateway that the scenarios are about; they are not run without. */
  readonly scenarios?: ScenarioSetting
  now?(): EpochMs
}

export interface ScenarioSetting extends ScenarioNeeds {
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
}

export interface Tested {
  readonly snapshot: Snapshot
  /** What scenarios are put to; undefined once it is known that there is none. */
  readonly compiled: Promise<Bundle | undefined>
}

/** @returns A finding for each test that failed. */
export type OwnTests = (tested: Tested, needs: OwnTestNeeds) => Promise<readonly Finding[]>

const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024

/** @returns A finding for each test that failed. The engine is this thread's, which stands still meanwhile. */
export async function runOwnTests(tested: Tested, needs: OwnTestNeeds): Promise<readonly Finding[]> {
  const opa = requireOpa()
  const workshop = await openWorkshop(tested.snapshot, opa, needs.shown)
  try {
    return await ran(tested, needs, { opa, workshop })
  } finally {
    workshop.close()
  }
}

async function ran(
  tested: Tested,
  needs: OwnTestNeeds,
  { opa, workshop }: { readonly opa: OpaCommand; readonly workshop: Workshop },
): Promise<readonly Finding[]> {
  const { shown, scenarios, now } = needs
  const { snapshot, compiled } = tested
  const units = await runUnitTests({
    snapshot,
    workshop,
    opa,
    shown,
    instant: now ? { ...SAMPLE_INSTANT, nowNs: BigInt(now()) * 1_000_000n } : SAMPLE_INSTANT,
    maxMemoryBytes: scenarios?.maxMemoryBytes ?? DEFAULT_MEMORY_BYTES,
  })
  const failed = await explained(units.results.filter(isFailed), workshop)
  const bundle = await compiled
  const run = scenarios && bundle ? scenarioRun(snapshot, bundle, needs, scenarios) : NOTHING_RUN
  return [...units.findings, ...run.findings, ...[...failed, ...run.results.filter(isFailed)].map(findingOf)]
}

const NOTHING_RUN: ScenarioRun = { results: [], findings: [] }

function scenarioRun(
  snapshot: Snapshot,
  bundle: Bundle,
  { shown, entrypoint }: OwnTestNeeds,
  setting: ScenarioSetting,
): ScenarioRun {
  const files = snapshot.files
    .filter(({ name }) => name.endsWith('.scenario.yaml'))
    .map(({ name, bytes }) => ({ shown: path.join(shown, name), text: bytes.toString('utf8') }))
  const { builtinErrors, maxMemoryBytes } = setting
  const policy = { bundle, revision: snapshot.revision, entrypoint, builtinErrors, maxMemoryBytes }
  return runScenarios(files, policy, setting)
}

function isFailed({ outcome }: TestResult): boolean {
  return outcome === 'fail'
}

async function explained(failed: readonly TestResult[], workshop: Workshop): Promise<readonly TestResult[]> {
  if (failed.length === 0) return failed
  const explanations = await workshop.explain(failed.map(({ name }) => name))
  return failed.map(result => {
    const explanation = explanations.get(result.name)
    return explanation === undefined ? result : { ...result, message: `${result.message}\n${explanation}` }
  })
}

function findingOf({ name, file, line, message }: TestResult): Finding {
  return { severity: 'error', code: 'test_failed', message: `${name}: ${message}`, file, line, column: 1 }
}
