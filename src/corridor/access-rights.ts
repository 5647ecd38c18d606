/**
 * Access rights: what a credential is good for under `/-/access`, where it is worth less than its principal.
 */
import type { AccessDocument, GrantDocument } from '../access/document.ts'
import type { AccessRequestBody } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'

/** How the holder of a credential that is worth one grant was known. */
export const GRANT_METHOD = 'access_grant'

/** A credential of one grant shows that grant and gives it back, and is good for nothing else here. */
export function refuseForeign({ method, claims }: Principal, route: string, id: string | undefined): void {
  if (method !== GRANT_METHOD || route === 'GET grants') return
  if (route !== 'DELETE grants/ID' || id !== claims.grant) throw notForThat()
}

/** A key for some models asks for no others, and for no roles. */
export function refuseBeyond(principal: Principal, { models = [], roles = [] }: AccessRequestBody): void {
  const scope = scopeOf(principal)
  if (scope && (roles.length > 0 || models.some(model => !scope.includes(model)))) throw notForThat()
}

/** What is for less than its principal has no say in what others get. */
export function mayHaveASay(principal: Principal): boolean {
  return principal.method !== GRANT_METHOD && scopeOf(principal) === undefined
}

function scopeOf({ method, claims }: Principal): readonly unknown[] | undefined {
  return method === 'api_key' && Array.isArray(claims.models) ? claims.models : undefined
}

export function notForThat(): GatewayError {
  return new GatewayError('forbidden', 'the credential is for less than its principal', {
    title: 'This credential is not for that',
  })
}

export function isOwn(document: AccessDocument, { id }: Principal): boolean {
  return document.principal.id === id
}

/** Of a credential of one grant, that one. */
export function holds({ id }: GrantDocument, document: AccessDocument, principal: Principal): boolean {
  return isOwn(document, principal) && (principal.method !== GRANT_METHOD || principal.claims.grant === id)
}
