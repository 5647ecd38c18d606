/**
 * Questions to the policy: for the request itself, for each model of a list, and for what a caller
 * only wonders about. One revision, one instant, whatever is asked.
 */
import type { PoolFacts, Principal } from '../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import { type Description, describe } from '../policy/describe.ts'
import type { Instant } from '../policy/engine.ts'
import type { Decided, Revision } from '../policy/revision.ts'
import type { Visit } from './visit.ts'

export interface Questions {
  /** What the policy will be asked: facts of a request, the visit's own or imagined. */
  describe(visit: Visit, asker: Asker, request: RequestFacts, body: RequestBody | undefined): Description
  /** @throws GatewayError `policy_error` */
  decide(visit: Visit, asker: Asker, description: Description): Decided
}

/** Who asks, and which policy: both fixed at the door. */
export interface Asker {
  readonly principal: Principal
  readonly revision: Revision
}

/** The instant and the seed of everything that is decided for a visit. */
export function instantOf(visit: Visit): Instant {
  return { nowNs: BigInt(visit.now) * 1_000_000n, seed: visit.id }
}

export interface QuestionsNeeds {
  /** When the source was last seen to be what is in force. */
  confirmedAt(): number | undefined
  poolFacts(): Readonly<Record<string, PoolFacts>>
}

export function createQuestions({ confirmedAt, poolFacts }: QuestionsNeeds): Questions {
  return {
    describe(visit, { principal, revision }, request, body) {
      const age = visit.now - (confirmedAt() ?? visit.now)
      return describe({
        id: visit.requestId,
        request,
        body,
        principal,
        pools: poolFacts(),
        revision: revision.id,
        policyAgeSeconds: Math.max(0, Math.floor(age / 1000)),
        now: visit.now,
        reads: revision.reads,
      })
    },
    decide: (visit, { revision }, { input }) => revision.decide(input, instantOf(visit)),
  }
}
