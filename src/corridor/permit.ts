/**
 * Permit: describe ▶ decide ▶ admit ▶ route, the verbs that turn a question into a right to be served.
 */
import type { Decision } from '../contract/decision.schema.ts'
import { GENERATING } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'
import { admit, claimsOf, LimitRefusal } from '../limits/admit.ts'
import { type Expectation, expectedAmounts, type Pricing, priceFor } from '../limits/amounts.ts'
import type { Claim, Ledger } from '../limits/ledger.ts'
import type { Candidate } from '../policy/candidate.ts'
import { isModelList } from '../server/models.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Pools } from '../upstreams/pools.ts'
import { route } from '../upstreams/route.ts'
import { grantClaims, groundsOf } from './grounds.ts'
import { type Asker, instantOf, type Questions } from './question.ts'
import { PolicyRefusal } from './refusal.ts'
import { inScope, outOfScope } from './scope.ts'
import { decided } from './traced.ts'
import type { Visit } from './visit.ts'

export interface PermitNeeds {
  readonly ledger: Ledger
  readonly pools: Pools
  readonly questions: Questions
  readonly metrics: Metrics
  /** Asked beside the policy in force, and never obeyed. */
  readonly candidate: Candidate | undefined
  /** The limits that a revision names for a principal. */
  remember(principal: string, claims: readonly Claim[], revision: string): void
}

/**
 * Decides and takes what the decision limits; a grant that has no more to give is decided without.
 *
 * @throws GatewayError when it is refused; then nothing is held.
 */
export type Permit = (visit: Visit, facts: RequestFacts, asker: Asker, pricing: Pricing) => Promise<Decision>

export function createPermit(needs: PermitNeeds): Permit {
  const { ledger, pools, questions, metrics } = needs

  async function permit(
    visit: Visit,
    facts: RequestFacts,
    asker: Asker,
    pricing: Pricing,
  ): Promise<Decision> {
    for (;;) {
      visit.trace?.begin('decide')
      const { principal, revision } = asker
      const decision = decide(visit, facts, { principal, revision, grants: visit.grants })
      visit.trace?.end(decided(visit))
      if (!decision.allow) throw new PolicyRefusal(decision)
      visit.trace?.begin('admit')
      visit.grounds = groundsOf(visit, decision)
      const own = claimsOf(decision.limits ?? [])
      needs.remember(asker.principal.id, own, asker.revision.id)
      const ceilings = visit.grounds.map(grant => ({ grant, claims: grantClaims(grant) }))
      const claims = ceilings.length > 0 ? [...own, ...ceilings.flatMap(({ claims }) => claims)] : own
      visit.model = decision.rewrite?.model ?? visit.model
      // Before anything is taken: what no pool can serve costs nothing.
      if (!isModelList(facts)) visit.pools = route(decision, visit.model, pools)
      visit.price = priceFor(pricedModels(visit, facts), pricing, claims)
      const amounts = expectedAmounts(expectationOf(visit, facts, decision), visit.price)
      try {
        const reserving = admit(claims, amounts, visit.now, ledger)
        // A ledger in this process answers at once, and then nothing is waited for.
        visit.reservation = reserving instanceof Promise ? await reserving : reserving
        visit.standings = visit.reservation.standings
        visit.trace?.end()
        return decision
      } catch (error) {
        const { claim } = error instanceof LimitRefusal ? error.refusedBy : { claim: undefined }
        const spent = ceilings.find(({ claims }) => claim && claims.includes(claim))?.grant
        if (!spent) throw error
        visit.grants = visit.grants.filter(grant => grant !== spent)
        visit.grounds = []
      }
    }
  }

  function decide(visit: Visit, facts: RequestFacts, asker: Asker): Decision {
    const described = questions.describe(visit, asker, facts, visit.body)
    visit.described = described
    visit.model = described.model
    if (!inScope(asker.principal, facts, described.model)) throw outOfScope()
    const began = performance.now()
    try {
      visit.decided = questions.decide(visit, asker, described)
    } finally {
      visit.evalNs = Math.round((performance.now() - began) * 1e6)
    }
    const { decision } = visit.decided
    metrics.decision(decision.rule, decision.allow, visit.evalNs / 1e9)
    needs.candidate?.compare(
      {
        id: visit.id,
        at: visit.now,
        input: described.whole(),
        instant: instantOf(visit),
        principal: asker.principal.id,
        model: described.model,
      },
      decision,
    )
    return decision
  }

  return permit
}

/** How much a request may use, as far as its body and the policy tell. */
function expectationOf(
  { described }: Visit,
  { operation }: RequestFacts,
  { rewrite }: Decision,
): Expectation {
  const ceilings = [described?.maxOutputTokens, rewrite?.max_tokens].filter(
    ceiling => typeof ceiling === 'number',
  )
  return {
    inputTokens: described?.estimatedInputTokens ?? 0,
    maxOutputTokens: ceilings.length > 0 ? Math.min(...ceilings) : null,
    generates: GENERATING.has(operation),
  }
}

/** A request that names no model may act on any of the pools that could serve it. */
function pricedModels({ model, pools }: Visit, { operation }: RequestFacts): readonly string[] {
  if (model !== null) return [model]
  return GENERATING.has(operation) ? pools.flatMap(pool => pool.models) : []
}
