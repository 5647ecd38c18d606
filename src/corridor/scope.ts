/**
 * Scope: what an API key is for, where that is less than what its principal may do. Judged by the
 * gateway itself, before any policy, so that no policy can forget it.
 */
import type { Decision } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'

const MESSAGE = 'This key is not for that model'

/** What is decided of a request outside of the scope; no policy is asked. */
export const OUT_OF_SCOPE: Decision = {
  allow: false,
  rule: 'key_scope',
  status: 403,
  code: 'forbidden',
  message: MESSAGE,
}

/**
 * A key for some models may name those and list them, and nothing else: a call that names no model
 * may act on any.
 */
export function inScope(
  { method, claims }: Principal,
  { operation, segments }: RequestFacts,
  model: string | null,
): boolean {
  if (method !== 'api_key' || !Array.isArray(claims.models)) return true
  if (model !== null) return claims.models.includes(model)
  return operation === 'models' || segments[0] === '-'
}

export function outOfScope(): GatewayError {
  return new GatewayError('forbidden', 'the key is not for this model', { title: MESSAGE })
}
