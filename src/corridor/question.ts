/**
 * Questions to the policy: for the request itself, for each model of a list, and for what a caller
 * only wonders about. One revision, one instant, whatever is asked.
 */
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { PoolFacts, Principal } from '../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import type { EpochMs } from '../contract/units.ts'
import { atInstant, type Description, describe, withGrants } from '../policy/describe.ts'
import type { Instant } from '../policy/engine/engine.ts'
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
  /** Those in force at that instant. */
  readonly grants: readonly ActiveGrant[]
}

/** Whether a visit that was allowed still would be, at a later moment and with the grants it has left. */
export function stillAllowed({ revision, described, id, grants }: Visit, at: EpochMs): boolean {
  const input = withGrants(atInstant(described?.input ?? '', at), grants.map(factsOf))
  return allows(revision, input, { nowNs: BigInt(at) * 1_000_000n, seed: id })
}

/** Whether the policy would allow it with these grants and no other. */
export function allowedWith(visit: Visit, grants: readonly ActiveGrant[]): boolean {
  return allows(
    visit.revision,
    withGrants(visit.described?.input ?? '', grants.map(factsOf)),
    instantOf(visit),
  )
}

/** What cannot be decided is not allowed. */
function allows(revision: Revision | undefined, input: string, instant: Instant): boolean {
  try {
    return revision?.decide(input, instant).decision.allow === true
  } catch {
    return false
  }
}

function factsOf({ facts }: ActiveGrant): object {
  return facts
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
    describe(visit, { principal, revision, grants }, request, body) {
      const age = visit.now - (confirmedAt() ?? visit.now)
      return describe({
        id: visit.requestId,
        request,
        body,
        principal,
        grants: grants.map(factsOf),
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
