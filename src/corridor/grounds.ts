/**
 * Grounds: the grants without which a request would not have been allowed, and what it takes of them.
 *
 * A policy may name the grant in its decision. One that does not is asked again without any grant,
 * and with each alone; that is done only for those who have grants.
 */
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { Decision } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Claim } from '../limits/ledger.ts'
import { allowedWith } from './question.ts'
import type { Visit } from './visit.ts'

/** @throws GatewayError `policy_error` when the decision names a grant that is not in force. */
export function groundsOf(visit: Visit, decision: Decision): readonly ActiveGrant[] {
  const { grants } = visit
  if (decision.grant !== undefined) {
    const named = grants.find(({ facts }) => facts.id === decision.grant)
    if (named) return [named]
    throw new GatewayError('policy_error', `the decision names the grant ${decision.grant}, not in force`)
  }
  if (grants.length === 0 || allowedWith(visit, [])) return NONE
  const enough = grants.find(grant => allowedWith(visit, [grant]))
  return enough ? [enough] : grants
}

const NONE: readonly ActiveGrant[] = []
const DAY_MS = 86_400_000

/** Its ceilings, as limits that are taken with those of the decision. Their window outlasts the grant. */
export function grantClaims({ facts, startsAt, expiresAt, maxUses, maxTokens }: ActiveGrant): Claim[] {
  const of = { key: facts.id, window: { ms: expiresAt - startsAt + DAY_MS }, observe: false }
  return [
    ...(maxUses === undefined
      ? []
      : [{ ...of, name: 'grant_requests', unit: 'requests' as const, limit: maxUses }]),
    ...(maxTokens === undefined
      ? []
      : [{ ...of, name: 'grant_tokens', unit: 'tokens' as const, limit: maxTokens }]),
  ]
}
