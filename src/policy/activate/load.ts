/**
 * Load: a compiled bundle → a revision that has answered the samples and, where that is wanted, the latest
 * requests once more.
 */

import path from 'node:path'
import { GatewayError } from '../../contract/errors.ts'
import type { FindingCode } from '../../contract/finding-meanings.ts'
import type { Finding } from '../../contract/findings.ts'
import { builtinCalls } from '../bundles/builtin-calls.ts'
import type { Bundle, BundleFiles } from '../bundles/bundle.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { EngineError } from '../engine/engine-error.ts'
import { readsFrom } from '../reads.ts'
import { createRevision, type Revision, UndefinedDecision } from '../revision.ts'
import { SAMPLE_INSTANT, sampleInputs } from '../samples.ts'
import { Refused } from './activation.ts'
import { type ReplayGate, tryReplay } from './replay-step.ts'

export interface EngineNeeds {
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
  /** How long a decision on a sample may take, ms. */
  readonly maxEvaluationMs: number
}

export interface LoadNeeds extends EngineNeeds {
  /** How the source is written in findings. */
  readonly shown: string
  readonly entrypoint: string
  models(): readonly string[]
  pools(): object
  /** Decides the latest requests again. */
  readonly replay?: ReplayGate | undefined
  /** Told what a revision was made from. */
  onLoaded?(revision: Revision, bundle: LoadedBundle): void
}

export type LoadedBundle = Pick<Bundle, 'wasm' | 'dataText'> & Partial<Pick<Bundle, 'manifest' | 'files'>>

/**
 * How much longer than a sample a decision on a request may take before it is interrupted and refused: a
 * busy machine must refuse nothing, and a policy that runs away must not stop the gateway.
 */
const LEEWAY = 20

/** Runs one step of an activation, timed. */
export type Stepper = <T>(name: string, work: () => T | Promise<T>) => Promise<T>

/** @throws Refused */
export async function load(
  bundle: LoadedBundle,
  id: string,
  needs: LoadNeeds,
  step: Stepper,
): Promise<Revision> {
  const { entrypoint } = needs
  const engine = await step('load', () => {
    try {
      return engineOf(bundle, needs)
    } catch (cause) {
      if (cause instanceof EngineError) throw unusable(cause, bundle.files ?? new Map(), needs)
      throw cause
    }
  })
  if (!engine.entrypoints.includes(entrypoint)) {
    engine.close()
    throw refused(needs, 'no_entrypoint', `the bundle has no entrypoint ${entrypoint}`)
  }
  const reads = readsFrom(bundle.manifest?.metadata?.reads)
  const revision = createRevision(id, engine, entrypoint, { reads, dataText: bundle.dataText })
  try {
    await step('samples', () => trySamples(revision, needs))
    const { replay } = needs
    if (replay) {
      const { shown } = needs
      await step('replay', () => tryReplay(replay, { entrypoint, shown, reads, decide: revision.decide }))
    }
  } catch (cause) {
    revision.close()
    throw cause
  }
  needs.onLoaded?.(revision, bundle)
  return revision
}

/** @throws EngineError */
export function engineOf({ wasm, dataText }: Pick<Bundle, 'wasm' | 'dataText'>, needs: EngineNeeds): Engine {
  const { builtinErrors, maxMemoryBytes } = needs
  const maxEvaluationMs = needs.maxEvaluationMs * LEEWAY
  return createEngine({ wasm, dataText, builtinErrors, maxMemoryBytes, maxEvaluationMs })
}

/** Of builtins that are not offered each call is told, as far as the bundle has its sources. */
function unusable(
  { code, message, builtins = [] }: EngineError,
  files: BundleFiles,
  needs: LoadNeeds,
): Refused {
  const calls = builtinCalls(files, builtins)
  const found = new Set(calls.map(({ builtin }) => builtin))
  const placed = calls.map(({ builtin, name, line, column }) => ({
    ...wholeSource(needs, code, `the builtin ${builtin} is not offered`),
    file: path.posix.join(needs.shown, name),
    line,
    column,
  }))
  const allPlaced = calls.length > 0 && builtins.every(builtin => found.has(builtin))
  return new Refused(allPlaced ? placed : [...placed, wholeSource(needs, code, message)])
}

/** How often a sample is timed; the best counts, so that a busy machine refuses nothing. */
const ROUNDS = 5

/** @throws Refused when a sample is answered in the wrong shape, or too slowly. */
export function trySamples(revision: Revision, needs: LoadNeeds): void {
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

function trySample(input: string, revision: Revision, needs: LoadNeeds): void {
  try {
    revision.decide(input, SAMPLE_INSTANT)
  } catch (cause) {
    // A policy may have nothing to say of a sample; callers of whom that is true are refused.
    if (cause instanceof UndefinedDecision) return
    if (cause instanceof GatewayError) {
      const { cause: fault } = cause
      const tooSlow = fault instanceof EngineError && fault.code === 'timed_out'
      throw refused(needs, tooSlow ? 'too_slow' : cause.code, cause.message)
    }
    throw cause
  }
}

/** @returns Milliseconds. */
function timeOf(work: () => void): number {
  const began = performance.now()
  work()
  return performance.now() - began
}

/** A finding about the source as a whole. */
export function refused(needs: Pick<LoadNeeds, 'shown'>, code: FindingCode, message: string): Refused {
  return new Refused([wholeSource(needs, code, message)])
}

function wholeSource({ shown }: Pick<LoadNeeds, 'shown'>, code: FindingCode, message: string): Finding {
  return { severity: 'error', code, message, file: shown, line: 0, column: 0 }
}
