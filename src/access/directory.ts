/**
 * The directory: every request and grant of the store, in memory, kept current by watching it, so
 * that a request stands on the grants of this moment without asking anybody.
 */
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { Kept, Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import {
  type AccessDocument,
  type EndState,
  grantState,
  isLive,
  isPromised,
  keepUntil,
  waitsUntil,
} from './document.ts'

export interface Directory {
  /** Reads what is in the store, and follows it from then on. @throws StoreUnavailable; then it may be tried again */
  open(): Promise<void>
  /** It was read whole: what is not here is nowhere. */
  isRead(): boolean
  get(id: string): Kept<AccessDocument> | undefined
  ofGrant(grantId: string): Kept<AccessDocument> | undefined
  all(): readonly Kept<AccessDocument>[]
  /** The grants of a principal that are in force at an instant. */
  activeOf(principal: string, at: EpochMs): readonly ActiveGrant[]
  /** How many requests of a principal wait, or are in force. */
  liveOf(principal: string): number
  /** How many grants of all principals are. */
  activeCount(at: EpochMs): number
  /** Takes in what was written here, before the store tells of it. */
  learn(kept: Kept<AccessDocument>): void
  /** Documents whose time is over, and that the store does not know to be. */
  overdue(at: EpochMs): readonly Kept<AccessDocument>[]
  /** Forgets what is no longer kept. */
  purge(at: EpochMs): void
  close(): void
}

export interface DirectoryNeeds {
  readonly shelf: Shelf<AccessDocument>
  now(): EpochMs
  /** Milliseconds on a clock that does not go back. */
  steady(): number
  /** A grant is over, whoever ended it and wherever; told once. */
  onEnded(grant: EndedGrant): void
  /** Told of each change, after it. */
  onChange(id: string): void
}

export interface EndedGrant {
  readonly id: string
  readonly principal: string
  readonly why: EndState
}

interface Held {
  readonly kept: Kept<AccessDocument>
  /** When it is over on the steady clock, so that a wall clock that was set back lends nobody time. */
  readonly steadyEnd: number
  readonly active: ActiveGrant | undefined
}

const NOBODY: ReadonlySet<string> = new Set()
const NONE: readonly ActiveGrant[] = []
/** How far two clocks may drift apart before one of them was set: this, and a thousandth of the time. */
const DRIFT_MS = 1000

export function createDirectory({ shelf, now, steady, onEnded, onChange }: DirectoryNeeds): Directory {
  const documents = new Map<string, Held>()
  const grants = new Map<string, string>()
  const byPrincipal = new Map<string, Set<string>>()
  const live = new Set<string>()
  const ended = new Set<string>()
  let watching: { close(): void } | undefined
  let isRead = false

  function learn(kept: Kept<AccessDocument>): void {
    const before = documents.get(kept.id)
    if (before && before.kept.version >= kept.version) return
    const document = kept.value
    documents.set(kept.id, { kept, steadyEnd: steadyEndOf(document, before), active: activeGrant(document) })
    if (document.grant) grants.set(document.grant.id, kept.id)
    const { id } = document.principal
    const own = byPrincipal.get(id)
    if (own) own.add(kept.id)
    else byPrincipal.set(id, new Set([kept.id]))
    if (isOpen(document)) live.add(kept.id)
    else live.delete(kept.id)
    const end = document.grant?.end
    if (end) tellEnd(document, end.state)
    // A promise changes nothing that anybody is shown.
    if (!isPromised(document)) onChange(kept.id)
  }

  /** Known before it had a grant, the clock of the grant begins when it is first seen. */
  function steadyEndOf(document: AccessDocument, before: Held | undefined): number {
    if (before?.kept.value.grant && document.grant) return before.steadyEnd
    const left = (document.grant?.expiresAt ?? waitsUntil(document)) - now()
    return steady() + left + DRIFT_MS + Math.max(0, left) / 1000
  }

  function forget(id: string): void {
    const held = documents.get(id)
    if (!held) return
    documents.delete(id)
    live.delete(id)
    const { grant, principal } = held.kept.value
    if (grant) {
      grants.delete(grant.id)
      tellEnd(held.kept.value, 'revoked')
      ended.delete(grant.id)
    }
    const own = byPrincipal.get(principal.id)
    own?.delete(id)
    if (own?.size === 0) byPrincipal.delete(principal.id)
    onChange(id)
  }

  function tellEnd({ grant, principal }: AccessDocument, why: EndState): void {
    if (!grant || ended.has(grant.id)) return
    ended.add(grant.id)
    onEnded({ id: grant.id, principal: principal.id, why })
  }

  function inForce(held: Held, at: EpochMs): boolean {
    const { grant } = held.kept.value
    return (
      grant !== null &&
      !ended.has(grant.id) &&
      grant.startsAt <= at &&
      grantState(grant, at) === 'active' &&
      steady() < held.steadyEnd
    )
  }

  function activeOf(principal: string, at: EpochMs): readonly ActiveGrant[] {
    const own = byPrincipal.get(principal)
    if (!own) return NONE
    const active: ActiveGrant[] = []
    for (const id of own) {
      const held = live.has(id) ? (documents.get(id) as Held) : undefined
      if (held?.active && inForce(held, at)) active.push(held.active)
    }
    return active.length > 0 ? active : NONE
  }

  return {
    async open() {
      watching ??= shelf.watch(change => ('kept' in change ? learn(change.kept) : forget(change.removed)))
      for (const kept of await shelf.all()) learn(kept)
      isRead = true
    },
    isRead: () => isRead,
    get: id => documents.get(id)?.kept,
    ofGrant: grantId => documents.get(grants.get(grantId) ?? '')?.kept,
    all: () => [...documents.values()].map(({ kept }) => kept),
    activeOf,
    liveOf: principal => [...(byPrincipal.get(principal) ?? NOBODY)].filter(id => live.has(id)).length,
    activeCount: at => [...live].filter(id => inForce(documents.get(id) as Held, at)).length,
    learn,
    overdue(at) {
      const over: Kept<AccessDocument>[] = []
      for (const id of live) {
        const { kept, steadyEnd } = documents.get(id) as Held
        if (isLive(kept.value, at) && steady() < steadyEnd) continue
        tellEnd(kept.value, 'expired')
        over.push(kept)
      }
      return over
    },
    purge(at) {
      for (const { kept } of documents.values()) if (keepUntil(kept.value) < at) forget(kept.id)
    },
    close: () => watching?.close(),
  }
}

/** Whatever the clock says: what is over by it alone is still to be told. */
function isOpen({ state, grant }: AccessDocument): boolean {
  return grant ? grant.end === null : state === 'pending'
}

function activeGrant({ grant, models, roles, reason, emergency }: AccessDocument): ActiveGrant | undefined {
  if (!grant || grant.end) return undefined
  return {
    facts: {
      id: grant.id,
      models,
      roles,
      expires_at: new Date(grant.expiresAt).toISOString(),
      approved_by: grant.approvedBy,
      reason,
      ...(emergency ? { emergency } : {}),
    },
    startsAt: grant.startsAt,
    expiresAt: grant.expiresAt,
    maxUses: grant.maxUses ?? undefined,
    maxTokens: grant.maxTokens ?? undefined,
    used: grant.firstUsedAt !== null,
  }
}
