/**
 * Load: a compiled bundle → a revision that has answered the samples.
 */
import { GatewayError } from '../contract/errors.ts'
import { Refused } from './activation.ts'
import { createEngine } from './engine.ts'
import { EngineError } from './engine-error.ts'
import { createRevision, type Revision, UndefinedDecision } from './revision.ts'
import { SAMPLE_INSTANT, sampleInputs } from './samples.ts'

export interface LoadNeeds {
  /** How the source is written in findings. */
  readonly shown: string
  readonly entrypoint: string
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
  /** How long a decision on a sample may take, ms. */
  readonly maxEvaluationMs: number
  models(): readonly string[]
  pools(): object
}

/** Runs one step of an activation, timed. */
export type Stepper = <T>(name: string, work: () => T | Promise<T>) => Promise<T>

/** @throws Refused */
export async function load(
  bundle: { readonly wasm: Uint8Array; readonly dataText: string },
  id: string,
  needs: LoadNeeds,
  step: Stepper,
): Promise<Revision> {
  const { wasm, dataText } = bundle
  const { entrypoint, builtinErrors, maxMemoryBytes } = needs
  const engine = await step('load', () => {
    try {
      return createEngine({ wasm, dataText, builtinErrors, maxMemoryBytes })
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

/** A finding about the source as a whole. */
export function refused({ shown }: Pick<LoadNeeds, 'shown'>, code: string, message: string): Refused {
  return new Refused([{ severity: 'error', code, message, file: shown, line: 0, column: 0 }])
}
