/**
 * Masking: asks the policy of a request, rule `gateway/mask`, what a sink may not see of a record.
 *
 * The rule sees the record as it would be written, and `sink`: `{"type", "name"}`. It is asked for every
 * decision, and for an outcome that holds what was answered.
 */
import type { Masker } from '../audit/log.ts'
import { BadMask, masked, withheld } from '../audit/mask.ts'
import { GatewayError } from '../contract/errors.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Instant } from '../policy/engine/engine.ts'
import { EngineError } from '../policy/engine/engine-error.ts'
import { MASK_ENTRYPOINT } from '../policy/questions.ts'
import { withoutLoneSurrogates } from '../policy/values/well-formed.ts'

/** The policy, as far as masks need it. */
export interface MaskPolicy {
  offers(entrypoint: string): boolean
  /** @throws GatewayError */
  ask(entrypoint: string, inputText: string, instant: Instant): string | undefined
}

/** What is recorded, as far as masks need it; a visit is one. */
export interface MaskSubject {
  /** Equal to the record's `decision_id`. */
  readonly id: string
  readonly now: EpochMs
  /** The policy that was in force then. */
  readonly revision: MaskPolicy | undefined
}

export interface Masking {
  /** @returns Undefined where the policy has no masks. */
  maskerFor(subject: MaskSubject): Masker | undefined
}

export interface MaskingNeeds {
  /** For hashes. */
  readonly key: string | undefined
  /** Records are written without all that a mask may reach from now on, or as they were asked for again. */
  onStateChange(ok: boolean, reason?: string): void
}

export function createMasking({ key, onStateChange }: MaskingNeeds): Masking {
  let ok = true

  function settle(good: boolean, reason?: string): void {
    if (good === ok) return
    ok = good
    onStateChange(good, reason)
  }

  function maskerOf(policy: MaskPolicy, { id, now }: MaskSubject): Masker {
    const instant = { nowNs: BigInt(now) * 1_000_000n, seed: id }
    return {
      mask(record, { type, name }) {
        try {
          const input = `${record.slice(0, -1)},"sink":${JSON.stringify({ type, name })}}`
          const answer = policy.ask(MASK_ENTRYPOINT, withoutLoneSurrogates(input), instant)
          const text = masked(record, answer, key)
          settle(true)
          return text
        } catch (error) {
          const reason = reasonOf(error)
          settle(false, reason)
          return withheld(record, reason)
        }
      },
    }
  }

  return {
    maskerFor: subject =>
      subject.revision?.offers(MASK_ENTRYPOINT) ? maskerOf(subject.revision, subject) : undefined,
  }
}

/** Without values: an engine's own message may hold what was to be masked. */
function reasonOf(error: unknown): string {
  if (error instanceof BadMask) return error.message
  if (error instanceof GatewayError && error.cause instanceof EngineError) return error.cause.code
  return 'fault'
}
