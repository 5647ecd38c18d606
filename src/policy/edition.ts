/**
 * From what lies at `policy.path` to a revision: read → check → compile → tests → load → samples.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { GatewayError } from '../contract/errors.ts'
import type { Finding } from '../contract/findings.ts'
import { type Edition, Refused } from './activation.ts'
import { type Bundle, BundleError, readBundle } from './bundle.ts'
import { openWorkshop } from './compile.ts'
import { createEngine } from './engine.ts'
import { EngineError } from './engine-error.ts'
import { requireOpa } from './opa-command.ts'
import { createRevision, type Revision, UndefinedDecision } from './revision.ts'
import { SAMPLE_INSTANT, sampleInputs } from './samples.ts'
import { readSource, type Snapshot } from './source.ts'

export interface EditionNeeds {
  /** A folder of sources, or a bundle file. */
  readonly path: string
  /** How the path is written in findings. */
  readonly shown: string
  readonly entrypoint: string
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
  readonly runTests: boolean
  /** How long a decision on a sample may take, ms. */
  readonly maxEvaluationMs: number
  models(): readonly string[]
  pools(): object
}

type Stepper = Parameters<Edition['build']>[0]

/** @throws SourceError when there is nothing to read. */
export function lookAt(needs: EditionNeeds): Edition {
  if (statSync(needs.path).isFile()) return bundleEdition(readFileSync(needs.path), needs)
  const snapshot = readSource(needs.path)
  return {
    digest: snapshot.digest,
    build: async step => load(await compile(snapshot, needs, step), snapshot.revision, needs, step),
  }
}

function bundleEdition(archive: Uint8Array, needs: EditionNeeds): Edition {
  const digest = createHash('sha256').update(archive).digest('hex')
  return {
    digest,
    build: async step =>
      load(await step('read', () => opened(archive, needs)), digest.slice(0, 16), needs, step),
  }
}

async function opened(archive: Uint8Array, needs: EditionNeeds): Promise<Bundle> {
  try {
    return await readBundle(archive)
  } catch (cause) {
    if (cause instanceof BundleError) throw refused(needs, cause.code, cause.message)
    throw cause
  }
}

async function compile(snapshot: Snapshot, needs: EditionNeeds, step: Stepper): Promise<Bundle> {
  const workshop = await step('read', () => openWorkshop(snapshot, requireOpa(), needs.shown))
  try {
    refuseIfAny(await step('check', () => workshop.check()))
    const { bundle, findings } = await step('compile', () => workshop.build(needs.entrypoint))
    if (!bundle) throw new Refused(findings)
    if (needs.runTests) {
      const { results, findings } = await step('tests', () => workshop.test())
      const failed = results.filter(result => result.outcome === 'fail')
      refuseIfAny([...findings, ...failed.map(failureOf)])
    }
    return bundle
  } finally {
    workshop.close()
  }
}

async function load(bundle: Bundle, id: string, needs: EditionNeeds, step: Stepper): Promise<Revision> {
  const { entrypoint, builtinErrors, maxMemoryBytes } = needs
  const engine = await step('load', () => {
    try {
      return createEngine({ ...bundle, builtinErrors, maxMemoryBytes })
    } catch (cause) {
      if (cause instanceof EngineError) throw refused(needs, cause.code, cause.message)
      throw cause
    }
  })
  if (!engine.entrypoints.includes(entrypoint)) {
    engine.close()
    throw refused(needs, 'no_entrypoint', `the bundle has no entrypoint ${entrypoint}`)
  }
  const revision = createRevision(id, engine, entrypoint)
  try {
    await step('samples', () => trySamples(revision, needs))
  } catch (cause) {
    revision.close()
    throw cause
  }
  return revision
}

/** How often a sample is timed; the best counts, so that a busy machine refuses nothing. */
const ROUNDS = 5

function trySamples(revision: Revision, needs: EditionNeeds): void {
  const { maxEvaluationMs } = needs
  for (const input of sampleInputs(needs.models(), needs.pools())) {
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < ROUNDS && best > maxEvaluationMs; round++) {
      best = Math.min(
        best,
        timeOf(() => trySample(input, revision, needs)),
      )
    }
    if (best > maxEvaluationMs) {
      const took = `a decision took ${best.toFixed(1)} ms; ${maxEvaluationMs} ms are allowed`
      throw refused(needs, 'too_slow', took)
    }
  }
}

function trySample(input: string, revision: Revision, needs: EditionNeeds): void {
  try {
    revision.decide(input, SAMPLE_INSTANT)
  } catch (cause) {
    // A policy may have nothing to say of a sample; callers of whom that is true are refused.
    if (cause instanceof UndefinedDecision) return
    if (cause instanceof GatewayError) throw refused(needs, cause.code, cause.message)
    throw cause
  }
}

/** @returns Milliseconds. */
function timeOf(work: () => void): number {
  const began = performance.now()
  work()
  return performance.now() - began
}

function refuseIfAny(findings: readonly Finding[]): void {
  if (findings.length > 0) throw new Refused(findings)
}

function failureOf(failure: { name: string; file: string; line: number; message: string }): Finding {
  const { file, line } = failure
  return {
    severity: 'error',
    code: 'test_failed',
    message: `${failure.name}: ${failure.message}`,
    file,
    line,
    column: 1,
  }
}

function refused({ shown }: EditionNeeds, code: string, message: string): Refused {
  return new Refused([{ severity: 'error', code, message, file: shown, line: 0, column: 0 }])
}
