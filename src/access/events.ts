/** What happened with access, for the record and for those who are told. */
import { type AccessDocument, type GrantDocument, isPromised } from './document.ts'
import { recordFacts } from './views.ts'

export interface AccessEvent {
  readonly event:
    | 'access.requested'
    | 'access.approved'
    | 'access.denied'
    | 'access.used'
    | 'access.expired'
    | 'access.revoked'
    | 'access.returned'
  readonly facts: object
}

export function requestedEvent(document: AccessDocument): AccessEvent {
  return { event: 'access.requested', facts: { ...recordFacts(document), by: document.principal.id } }
}

export function approvedEvent(document: AccessDocument, by: string, comment: string | null): AccessEvent {
  const { grant, approvals } = document
  return {
    event: 'access.approved',
    facts: {
      ...recordFacts(document),
      by,
      comment,
      // An approval of several is on record by itself.
      approvals: approvals.map(({ id }) => id),
      ...(grant ? spanOf(grant) : {}),
    },
  }
}

function spanOf({ startsAt, expiresAt }: GrantDocument): object {
  return { starts_at: new Date(startsAt).toISOString(), expires_at: new Date(expiresAt).toISOString() }
}

export function deniedEvent(document: AccessDocument, by: string, comment: string | null): AccessEvent {
  return { event: 'access.denied', facts: { ...recordFacts(document), by, comment } }
}

export function usedEvent(document: AccessDocument, by: string, decisionId: string): AccessEvent {
  return { event: 'access.used', facts: { ...recordFacts(document), by, decision_id: decisionId } }
}

/** By the holder or by somebody else. */
export function endedEvent(
  document: AccessDocument,
  state: 'returned' | 'revoked',
  by: string,
  comment: string | null,
): AccessEvent {
  return { event: `access.${state}`, facts: { ...recordFacts(document), by, comment } }
}

/** By nobody: its time, its ceiling, or the death of the gateway that was about to lend it. */
export function expiredEvent(document: AccessDocument): AccessEvent {
  const why = isPromised(document)
    ? 'not_granted'
    : document.grant?.end?.state === 'used_up'
      ? 'used_up'
      : null
  return {
    event: 'access.expired',
    facts: { ...recordFacts(document), by: null, ...(why === null ? {} : { why }) },
  }
}
