/**
 * A policy that was handed over: built, tried and put in force elsewhere, and decided by here as it is.
 */
import type { EpochMs } from '../../contract/units.ts'
import { readsFrom } from '../reads.ts'
import { createRevision, type Revision } from '../revision.ts'
import { type EngineNeeds, engineOf } from './load.ts'

export interface Handed {
  readonly id: string
  readonly wasm: Uint8Array
  /** JSON text. */
  readonly dataText: string
  /** What of the input it looks at, as its bundle says. */
  readonly reads: unknown
}

export interface HandedHolder {
  current(): Revision | undefined
  confirmedAt(): EpochMs | undefined
  /** Decides by it from now on. @throws EngineError; then what was in force stays. */
  hold(handed: Handed, confirmedAt: EpochMs | undefined): void
  confirmed(at: EpochMs): void
  close(): void
}

export interface HandedNeeds extends EngineNeeds {
  readonly entrypoint: string
  /** Calls once, after so many milliseconds. */
  after(ms: number, work: () => void): void
}

/** Requests that began under a revision may still ask it. */
const GRACE_MS = 60_000

export function createHandedHolder(needs: HandedNeeds): HandedHolder {
  let current: Revision | undefined
  let confirmedAt: EpochMs | undefined
  return {
    current: () => current,
    confirmedAt: () => confirmedAt,
    hold({ id, wasm, dataText, reads }, at) {
      const before = current
      const facts = { reads: readsFrom(reads), dataText }
      current = createRevision(id, engineOf({ wasm, dataText }, needs), needs.entrypoint, facts)
      confirmedAt = at
      if (before) needs.after(GRACE_MS, before.close)
    },
    confirmed(at) {
      confirmedAt = at
    },
    close: () => current?.close(),
  }
}
