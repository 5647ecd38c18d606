/**
 * The candidate: a second policy that is asked beside the one in force and never obeyed.
 *
 * It is asked after the request was decided and in a turn of its own, so it delays nobody; what
 * it would have decided otherwise is counted, and the latest are kept for reading.
 */

import type { Decision } from '../contract/decision.schema.ts'
import type { CandidateStatus, Flip, Verdict } from '../contract/seen.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Instant } from './engine/engine.ts'
import type { Revision } from './revision.ts'

export interface Candidate {
  /** Takes what the policy in force was asked, and what it answered. */
  compare(question: AskedQuestion, inForce: Decision): void
  status(): CandidateStatus
}

export interface AskedQuestion {
  readonly id: string
  readonly at: EpochMs
  readonly input: string
  readonly instant: Instant
  readonly principal: string
  readonly model: string | null
}

export interface CandidateNeeds {
  /** Undefined while there is none that could be asked. */
  current(): Revision | undefined
  onFlip(): void
}

const KEPT_EXAMPLES = 20
/** Questions that may wait; more are not asked, so that a slow candidate cannot fill the memory. */
const MOST_WAITING = 1000

export function createCandidate({ current, onFlip }: CandidateNeeds): Candidate {
  const examples: Flip[] = []
  let waiting: { question: AskedQuestion; inForce: Decision }[] = []
  let revision: string | null = null
  let decided = 0
  let flips = 0
  let spentMs = 0

  function askAll(): void {
    const asked = waiting
    waiting = []
    const candidate = current()
    if (!candidate) return
    if (candidate.id !== revision) restart(candidate.id)
    for (const { question, inForce } of asked) {
      const began = performance.now()
      const verdict = verdictOf(candidate, question)
      spentMs += performance.now() - began
      decided++
      if (differs(verdictIn(inForce), verdict)) keep(question, verdictIn(inForce), verdict)
    }
  }

  /** What another candidate did says nothing of this one. */
  function restart(id: string): void {
    revision = id
    decided = flips = spentMs = examples.length = 0
  }

  function keep({ id, at, principal, model }: AskedQuestion, inForce: Verdict, candidate: Verdict): void {
    flips++
    onFlip()
    examples.unshift({
      decision_id: id,
      at: new Date(at).toISOString(),
      principal,
      model,
      in_force: inForce,
      candidate,
    })
    examples.length = Math.min(examples.length, KEPT_EXAMPLES)
  }

  return {
    compare(question, inForce) {
      if (waiting.length >= MOST_WAITING) return
      if (waiting.push({ question, inForce }) === 1) setImmediate(askAll)
    },
    status() {
      const id = current()?.id ?? null
      // One that was asked nothing yet.
      if (id !== null && id !== revision) restart(id)
      return {
        revision: id,
        decided,
        flips,
        mean_us: decided === 0 ? null : Math.round((spentMs / decided) * 1e6) / 1e3,
        examples: [...examples],
      }
    },
  }
}

/** A candidate that cannot decide would refuse. */
function verdictOf(candidate: Revision, { input, instant }: AskedQuestion): Verdict {
  try {
    return verdictIn(candidate.decide(input, instant).decision)
  } catch {
    return { allow: false, status: 500, code: 'policy_error', rule: null }
  }
}

export function verdictIn({ allow, status, code, rule }: Decision): Verdict {
  if (allow) return { allow, status: null, code: null, rule: rule ?? null }
  return { allow, status: status ?? 403, code: code ?? 'forbidden', rule: rule ?? null }
}

/** Another name of the rule alone is no difference that a caller would notice. */
export function differs(one: Verdict, other: Verdict): boolean {
  return one.allow !== other.allow || one.status !== other.status || one.code !== other.code
}
