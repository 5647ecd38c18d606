/**
 * What a caller is shown of requests and grants.
 */
import type { EpochMs } from '../contract/units.ts'
import { type AccessDocument, type GrantDocument, grantState, requestState } from './document.ts'

/** @param token - The credential, the one time it is shown. */
export function requestView(document: AccessDocument, now: EpochMs, token: string | null = null): object {
  const { grant, denial } = document
  return {
    id: document.id,
    state: requestState(document, now),
    models: document.models,
    roles: document.roles,
    duration: document.duration,
    reason: document.reason,
    ticket: document.ticket,
    emergency: document.emergency,
    requested_by: document.principal.id,
    created_at: iso(document.createdAt),
    pending_until: iso(document.pendingUntil),
    approvals: document.approvals.map(approval => ({ ...approval, at: iso(approval.at) })),
    denied_by: denial?.by ?? null,
    comment: denial?.comment ?? null,
    grant: grant && { id: grant.id, starts_at: iso(grant.startsAt), expires_at: iso(grant.expiresAt) },
    token,
  }
}

export function grantView(document: AccessDocument, grant: GrantDocument, now: EpochMs): object {
  const { end } = grant
  return {
    id: grant.id,
    state: grantState(grant, now),
    principal: document.principal.id,
    models: document.models,
    roles: document.roles,
    starts_at: iso(grant.startsAt),
    expires_at: iso(grant.expiresAt),
    approved_by: grant.approvedBy,
    reason: document.reason,
    ticket: document.ticket,
    emergency: document.emergency,
    max_uses: grant.maxUses,
    max_tokens: grant.maxTokens,
    used: grant.firstUsedAt !== null,
    request: document.id,
    ended_at: end ? iso(end.at) : null,
    ended_by: end?.by ?? null,
    comment: end?.comment ?? null,
  }
}

/** What a record of the audit log says of a request, whatever became of it. */
export function recordFacts(document: AccessDocument): object {
  const { principal, grant } = document
  return {
    access_request: document.id,
    ...(grant ? { grant: grant.id } : {}),
    principal: { id: principal.id, kind: principal.kind, roles: principal.roles, team: principal.team },
    models: document.models,
    roles: document.roles,
    duration: document.duration,
    reason: document.reason,
    ticket: document.ticket,
    emergency: document.emergency,
  }
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString()
}
