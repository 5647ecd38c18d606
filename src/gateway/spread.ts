/**
 * Spread: what is in force here is what all workers decide by.
 */
import type { LoadedBundle } from '../policy/activate/load.ts'
import type { Revision } from '../policy/revision.ts'
import type { HandedPolicy } from '../workers/messages.ts'
import type { Role, Spread } from './policies.ts'

export interface Spreading extends Spread {
  /** For a worker that comes later. */
  latest(role: Role): HandedPolicy | undefined
}

/** @param toAll - Never rejects: who does not take it is ended. */
export function createSpread(toAll: (handed: HandedPolicy) => Promise<void>): Spreading {
  const bundles = new WeakMap<Revision, LoadedBundle>()
  const latest = new Map<Role, HandedPolicy>()
  let running: Promise<unknown> = Promise.resolve()
  return {
    loaded: (revision, bundle) => void bundles.set(revision, bundle),
    async handOut(role, { current, confirmedAt }) {
      const revision = current()
      const bundle = revision && bundles.get(revision)
      if (!bundle) return
      const handed = {
        role,
        id: revision.id,
        wasm: bundle.wasm,
        dataText: bundle.dataText,
        reads: bundle.manifest?.metadata?.reads,
        confirmedAt: confirmedAt(),
      }
      latest.set(role, handed)
      const taken = toAll(handed)
      running = Promise.all([running, taken])
      await taken
    },
    async settled() {
      await running
    },
    latest: role => latest.get(role),
  }
}
