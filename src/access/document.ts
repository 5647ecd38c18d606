/**
 * The document of one request for access, with the grant that came of it: one document, so that a
 * request is approved and its grant made in one step, or not at all.
 */
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'

export interface AccessDocument {
  readonly id: string
  /** Who asked, as they were then. */
  readonly principal: Principal
  readonly models: readonly string[]
  readonly roles: readonly string[]
  /** As it was written, and in milliseconds. */
  readonly duration: string
  readonly durationMs: number
  readonly reason: string
  readonly ticket: string | null
  readonly emergency: boolean
  readonly notBefore: EpochMs | null
  /** Whether a credential was asked for, and whether it was handed out. */
  readonly token: 'no' | 'wanted' | 'shown'
  readonly createdAt: EpochMs
  readonly pendingUntil: EpochMs
  readonly approvals: readonly Approval[]
  /**
   * Until when a grant is being put on record: the request is in nobody else's hands, and is over then
   * unless the gateway that promised comes back to it.
   */
  readonly promised?: EpochMs
  /** `expired`: nobody decided in time. */
  readonly state: 'pending' | 'approved' | 'denied' | 'expired'
  /** Why it was denied, and by whom. */
  readonly denial: { readonly by: string; readonly comment: string | null; readonly at: EpochMs } | null
  readonly grant: GrantDocument | null
}

export interface Approval {
  readonly id: string
  readonly roles: readonly string[]
  readonly at: EpochMs
  readonly comment: string | null
}

export interface GrantDocument {
  readonly id: string
  readonly startsAt: EpochMs
  readonly expiresAt: EpochMs
  /** Null: the policy alone. */
  readonly approvedBy: string | null
  readonly maxUses: number | null
  readonly maxTokens: number | null
  readonly firstUsedAt: EpochMs | null
  readonly end: GrantEnd | null
}

export interface GrantEnd {
  readonly state: EndState
  readonly at: EpochMs
  /** Null: the clock, or its ceiling. */
  readonly by: string | null
  readonly comment: string | null
}

export type EndState = 'expired' | 'revoked' | 'returned' | 'used_up'

/** How long what has ended is kept. */
export const KEPT_AFTER_MS = 30 * 86_400_000

/** Until when somebody may still decide. */
export function waitsUntil({ promised, pendingUntil }: AccessDocument): EpochMs {
  return promised ?? pendingUntil
}

export function requestState(document: AccessDocument, now: EpochMs): AccessDocument['state'] {
  return document.state === 'pending' && now >= waitsUntil(document) ? 'expired' : document.state
}

export function grantState(grant: GrantDocument, now: EpochMs): 'active' | EndState {
  if (grant.end) return grant.end.state
  return now >= grant.expiresAt ? 'expired' : 'active'
}

/** How long it may take to put a grant on record. */
const PROMISE_MS = 10_000

/** What a request is until its grant is on record: as it was, with nothing lent. */
export function promise(
  granted: AccessDocument,
  before: AccessDocument | undefined,
  now: EpochMs,
): AccessDocument {
  return { ...(before ?? { ...granted, state: 'pending', grant: null }), promised: now + PROMISE_MS }
}

export function isPromised({ promised }: AccessDocument): boolean {
  return promised !== undefined
}

export function ended(document: AccessDocument, grant: GrantDocument, end: GrantEnd): AccessDocument {
  return { ...document, grant: { ...grant, end } }
}

/** When it is over, at the latest. */
export function endOf(document: AccessDocument): EpochMs {
  const { grant, denial } = document
  if (grant) return grant.end?.at ?? grant.expiresAt
  return denial?.at ?? waitsUntil(document)
}

export function keepUntil(document: AccessDocument): EpochMs {
  return endOf(document) + KEPT_AFTER_MS
}

/** Waiting, or in force now or later. */
export function isLive(document: AccessDocument, now: EpochMs): boolean {
  if (document.grant) return grantState(document.grant, now) === 'active'
  return requestState(document, now) === 'pending'
}

/** What makes two requests the same question; the reason may be told in other words. */
export function questionOf(
  principal: string,
  asked: Pick<AccessDocument, 'models' | 'roles' | 'durationMs' | 'ticket' | 'emergency' | 'notBefore'> & {
    readonly token: boolean
  },
): string {
  return JSON.stringify([
    principal,
    [...asked.models].sort(),
    [...asked.roles].sort(),
    asked.durationMs,
    asked.ticket,
    asked.emergency,
    asked.notBefore,
    asked.token,
  ])
}
