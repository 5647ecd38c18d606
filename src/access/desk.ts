/**
 * The desk: where access is asked for, approved, denied, given back and revoked.
 *
 * Each step is a compare and set of one document: of two who decide at the same moment one is first,
 * and the other finds it decided. A step that lends access and cannot be put on record is undone; one
 * that takes access away stands.
 */
import type { AccessRequestBody, AccessVerdict } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { Kept, Shelf } from '../contract/shelf.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import type { Directory } from './directory.ts'
import {
  type AccessDocument,
  type EndState,
  type GrantDocument,
  grantState,
  isLive,
  keepUntil,
  questionOf,
  requestState,
} from './document.ts'
import { isApprover, type Judge, questionAbout, verdictOn } from './verdict.ts'
import { recordFacts } from './views.ts'

export interface Desk {
  /**
   * @returns The request: a new one, or the first that asked the same and is not over.
   * @throws GatewayError `invalid_request`, `forbidden` as the policy says, `audit_unavailable`
   */
  ask(principal: Principal, asked: AccessRequestBody, judge: Judge): Promise<AccessDocument>
  /** @throws GatewayError `not_found`, `forbidden`, `conflict`, `audit_unavailable` */
  approve(id: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  /** By who may approve, or by who asked. @throws GatewayError as `approve` does. */
  deny(id: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  /** By the holder (returned), or by who may approve (revoked). @throws GatewayError as `approve` does. */
  end(grantId: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  /** As an operator, who needs nobody's leave; what the policy denies is denied. @throws GatewayError as `approve` does. */
  decideAsOperator(
    id: string,
    approve: boolean,
    comment: string | null,
    judge: Judge,
  ): Promise<AccessDocument>
  endAsOperator(grantId: string, comment: string | null): Promise<AccessDocument>
  mayDecide(document: AccessDocument, principal: Principal, judge: Judge): boolean
  /** Also what another gateway has made at this moment. */
  find(id: string): Promise<AccessDocument | undefined>
  /** Takes the right to see the credential of a request, which there is once. */
  takeToken(id: string, by: string): Promise<AccessDocument | undefined>
  /** A request stood on the grant. @returns When it is on record, where it is the first. */
  used(grantId: string, by: { readonly id: string; readonly decisionId: string }): Promise<void>
  /** The grant's ceiling is reached. */
  usedUp(grantId: string): Promise<void>
  /** Says of what is over that it is. */
  sweep(): Promise<void>
}

/** What happened, for the record and for those who are told. */
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

export interface DeskNeeds {
  readonly shelf: Shelf<AccessDocument>
  /** Which request asked a question first, by a digest of the question. */
  readonly questions: Shelf<{ readonly request: string }>
  readonly directory: Directory
  now(): EpochMs
  /** @param prefix - `r_` or `g_`. */
  newId(prefix: string): string
  digest(text: string): string
  /** Resolves when the event is on record. @throws GatewayError `audit_unavailable` */
  record(event: AccessEvent): Promise<void>
}

/** Who decides on the admin listener. */
export const OPERATOR = 'operator'
const PENDING_MS = 3_600_000
const LONGEST_MS = 3650 * 86_400_000
/** Requests that wait and grants that are in force, of one principal. */
const MOST_LIVE = 100
/** The ids that an approval by the operator gives. */
const OPERATOR_ROLES: readonly string[] = []

export function createDesk(needs: DeskNeeds): Desk {
  const { shelf, questions, directory, now, newId, record } = needs

  async function ask(principal: Principal, asked: AccessRequestBody, judge: Judge): Promise<AccessDocument> {
    const draft = draftOf(principal, asked)
    const verdict = await judged(draft, judge)
    const document = withVerdict(draft, verdict)
    const digest = needs.digest(questionOf(principal.id, { ...draft, token: draft.token !== 'no' }))
    for (;;) {
      const pointer = await questions.get(digest)
      const first = pointer && (await shelf.get(pointer.value.request))
      if (first && isLive(first.value, now())) return sameAgain(first, verdict)
      refuseFlood(principal.id)
      const kept = (await shelf.put(document.id, document, 0, keepUntil(document))) as Kept<AccessDocument>
      if (await questions.put(digest, { request: document.id }, pointer?.version ?? 0, keepUntil(document))) {
        await onRecord(kept, () => openingEvents(document))
        return document
      }
      // Somebody asked the same at the same moment and was first.
      await shelf.remove(document.id, kept.version)
    }
  }

  function refuseFlood(principal: string): void {
    const live = directory.liveOf(principal)
    if (live >= MOST_LIVE) throw new GatewayError('rate_limited', `${live} requests and grants are open`)
  }

  /** What the policy refuses is on record too. */
  async function judged(draft: AccessDocument, judge: Judge): Promise<AccessVerdict> {
    try {
      const verdict = verdictOn(questionAbout(draft, null, grantsOf(draft)), judge)
      refuseDenied(verdict)
      refuseTooLong(verdict, draft)
      return verdict
    } catch (error) {
      const facts = { ...recordFacts(draft), by: draft.principal.id }
      await record({ event: 'access.requested', facts })
      await record({ event: 'access.denied', facts: { ...facts, by: 'policy', comment: titleOf(error) } })
      throw error
    }
  }

  function draftOf(principal: Principal, asked: AccessRequestBody): AccessDocument {
    const at = now()
    const durationMs = parseDuration(asked.duration)
    const notBefore = asked.not_before == null ? null : Date.parse(asked.not_before)
    const [models, roles] = [unique(asked.models), unique(asked.roles)]
    if (models.length + roles.length === 0) throw invalid('Name models or roles')
    if (!(durationMs >= 1 && durationMs <= LONGEST_MS)) throw invalid('duration is out of range')
    if (notBefore !== null && notBefore > at + LONGEST_MS) throw invalid('not_before is out of range')
    return {
      id: newId('r_'),
      principal,
      models,
      roles,
      duration: asked.duration,
      durationMs,
      reason: asked.reason,
      ticket: asked.ticket || null,
      emergency: asked.emergency ?? false,
      notBefore,
      token: asked.token ? 'wanted' : 'no',
      createdAt: at,
      pendingUntil: at,
      approvals: [],
      state: 'pending',
      denial: null,
      grant: null,
    }
  }

  function withVerdict(draft: AccessDocument, verdict: AccessVerdict): AccessDocument {
    const pendingFor = verdict.pending_for === undefined ? PENDING_MS : parseDuration(verdict.pending_for)
    const waiting = { ...draft, pendingUntil: draft.createdAt + Math.min(pendingFor, LONGEST_MS) }
    return verdict.outcome === 'approve' ? granted(waiting, verdict, null) : waiting
  }

  function granted(document: AccessDocument, verdict: AccessVerdict, by: string | null): AccessDocument {
    const startsAt = Math.max(now(), document.notBefore ?? 0)
    const grant: GrantDocument = {
      id: `g_${document.id.slice(2)}`,
      startsAt,
      expiresAt: startsAt + Math.ceil(document.durationMs),
      approvedBy: by,
      maxUses: verdict.max_uses ?? null,
      maxTokens: verdict.max_tokens ?? null,
      firstUsedAt: null,
      end: null,
    }
    return { ...document, state: 'approved', grant }
  }

  function openingEvents(document: AccessDocument): AccessEvent[] {
    const facts = { ...recordFacts(document), by: document.principal.id }
    const requested: AccessEvent = { event: 'access.requested', facts }
    return document.grant ? [requested, approvedEvent(document, 'policy', null)] : [requested]
  }

  /** What asked first may be approved by the policy itself by now. */
  async function sameAgain(first: Kept<AccessDocument>, verdict: AccessVerdict): Promise<AccessDocument> {
    if (verdict.outcome !== 'approve' || first.value.state !== 'pending') return first.value
    const next = granted(first.value, verdict, null)
    const kept = await shelf.put(first.id, next, first.version, keepUntil(next))
    if (!kept) return (await shelf.get(first.id))?.value ?? first.value
    await onRecord(kept, () => [approvedEvent(next, 'policy', null)], first.value)
    return next
  }

  /** Puts a step that lends access on record, or undoes it. */
  async function onRecord(
    kept: Kept<AccessDocument>,
    events: () => readonly AccessEvent[],
    before?: AccessDocument,
  ): Promise<void> {
    try {
      for (const event of events()) await record(event)
    } catch (error) {
      if (before) await shelf.put(kept.id, before, kept.version, keepUntil(before))
      else await shelf.remove(kept.id, kept.version)
      throw error
    }
    directory.learn(kept)
  }

  /** Reads, decides and writes, again if somebody else wrote meanwhile. */
  async function step(
    id: string,
    decide: (document: AccessDocument) => AccessDocument,
  ): Promise<{ before: AccessDocument; kept: Kept<AccessDocument> }> {
    for (;;) {
      const read = await shelf.get(id)
      if (!read) throw notFound()
      const next = decide(read.value)
      const kept = await shelf.put(id, next, read.version, keepUntil(next))
      if (kept) return { before: read.value, kept }
    }
  }

  async function approve(
    id: string,
    by: Principal,
    comment: string | null,
    judge: Judge,
  ): Promise<AccessDocument> {
    const { before, kept } = await step(id, document => {
      refuseDecided(document)
      const verdict = entitled(document, by, judge)
      if (by.id === document.principal.id && verdict.self_approval !== true) throw notYours()
      if (document.approvals.some(approval => approval.id === by.id)) {
        throw conflict('You have approved this already')
      }
      refuseTooLong(verdict, document)
      const approvals = [...document.approvals, { id: by.id, roles: by.roles, at: now(), comment }]
      const approved = { ...document, approvals }
      return verdict.outcome === 'approve' || approvals.length >= (verdict.approvals ?? 1)
        ? granted(approved, verdict, approvals.map(approval => approval.id).join(', '))
        : approved
    })
    await onRecord(kept, () => [approvedEvent(kept.value, by.id, comment)], before)
    return kept.value
  }

  async function deny(
    id: string,
    by: Principal,
    comment: string | null,
    judge: Judge,
  ): Promise<AccessDocument> {
    const { kept } = await step(id, document => {
      refuseDecided(document)
      if (by.id !== document.principal.id) entitled(document, by, judge)
      return denied(document, by.id, comment)
    })
    return tell(kept, { event: 'access.denied', facts: { ...recordFacts(kept.value), by: by.id, comment } })
  }

  function denied(document: AccessDocument, by: string, comment: string | null): AccessDocument {
    return { ...document, state: 'denied', denial: { by, comment, at: now() } }
  }

  /** A step that stands whether it can be put on record or not. */
  async function tell(kept: Kept<AccessDocument>, event: AccessEvent): Promise<AccessDocument> {
    directory.learn(kept)
    await record(event)
    return kept.value
  }

  async function end(
    grantId: string,
    by: Principal,
    comment: string | null,
    judge: Judge,
  ): Promise<AccessDocument> {
    const known = await documentOf(grantId)
    const own = by.id === known.value.principal.id
    if (!own) entitled(known.value, by, judge)
    return endBy(known.id, own ? 'returned' : 'revoked', by.id, comment)
  }

  /** As it is in the store: this gateway may not have been told of it yet. */
  async function documentOf(grantId: string): Promise<Kept<AccessDocument>> {
    const known = await shelf.get(`r_${grantId.slice(2)}`)
    if (known?.value.grant?.id !== grantId) throw notFound()
    return known
  }

  async function endBy(
    id: string,
    state: 'returned' | 'revoked',
    by: string,
    comment: string | null,
  ): Promise<AccessDocument> {
    const { kept } = await step(id, document => {
      if (!document.grant || grantState(document.grant, now()) !== 'active')
        throw conflict('This grant is over')
      return ended(document, document.grant, state, by, comment)
    })
    return tell(kept, {
      event: `access.${state}`,
      facts: { ...recordFacts(kept.value), by, comment },
    })
  }

  function ended(
    document: AccessDocument,
    grant: GrantDocument,
    state: EndState,
    by: string | null,
    comment: string | null,
  ): AccessDocument {
    return { ...document, grant: { ...grant, end: { state, at: now(), by, comment } } }
  }

  /** @param next - Undefined where there is nothing to change. @returns What was changed here, and nowhere before. */
  async function change(
    grantId: string,
    next: (document: AccessDocument, grant: GrantDocument) => AccessDocument | undefined,
  ): Promise<Kept<AccessDocument> | undefined> {
    let read = directory.ofGrant(grantId)
    while (read?.value.grant) {
      const changed = next(read.value, read.value.grant)
      if (!changed) return undefined
      const kept = await shelf.put(read.id, changed, read.version, keepUntil(changed))
      if (kept) {
        directory.learn(kept)
        return kept
      }
      read = await shelf.get(read.id)
    }
    return undefined
  }

  /** What the policy says of this approver at this moment. @throws GatewayError `forbidden` */
  function entitled(document: AccessDocument, by: Principal, judge: Judge): AccessVerdict {
    const verdict = verdictOn(questionAbout(document, by, grantsOf(document)), judge)
    refuseDenied(verdict)
    if (isApprover(verdict, by) || approvesBecauseOf(document, verdict, judge)) return verdict
    throw new GatewayError('forbidden', 'the policy does not name this approver', {
      title: 'You may not decide on this request',
    })
  }

  /** An answer that nobody's word changes names nobody. */
  function approvesBecauseOf(document: AccessDocument, { outcome }: AccessVerdict, judge: Judge): boolean {
    if (outcome !== 'approve') return false
    const alone = verdictOn(questionAbout(document, null, grantsOf(document)), judge)
    return alone.outcome !== 'approve'
  }

  function grantsOf({ principal }: AccessDocument) {
    return directory.activeOf(principal.id, now()).map(({ facts }) => facts)
  }

  function refuseDecided(document: AccessDocument): void {
    const state = requestState(document, now())
    if (state !== 'pending') throw conflict(`This request is ${state} and no longer pending`)
  }

  return {
    ask,
    approve,
    deny,
    end,
    async decideAsOperator(id, approves, comment, judge) {
      const { before, kept } = await step(id, document => {
        refuseDecided(document)
        if (!approves) return denied(document, OPERATOR, comment)
        const approval = { id: OPERATOR, roles: OPERATOR_ROLES, at: now(), comment }
        const approved = { ...document, approvals: [...document.approvals, approval] }
        const verdict = verdictOn(questionAbout(document, null, grantsOf(document)), judge)
        refuseDenied(verdict)
        return granted(approved, verdict, OPERATOR)
      })
      if (approves) {
        await onRecord(kept, () => [approvedEvent(kept.value, OPERATOR, comment)], before)
        return kept.value
      }
      const facts = { ...recordFacts(kept.value), by: OPERATOR, comment }
      return tell(kept, { event: 'access.denied', facts })
    },
    async endAsOperator(grantId, comment) {
      return endBy((await documentOf(grantId)).id, 'revoked', OPERATOR, comment)
    },
    async find(id) {
      const known = directory.get(id)
      if (known) return known.value
      const read = await shelf.get(id)
      if (read) directory.learn(read)
      return read?.value
    },
    mayDecide(document, principal, judge) {
      try {
        entitled(document, principal, judge)
        return true
      } catch {
        return false
      }
    },
    async takeToken(id, by) {
      const known = directory.get(id)?.value
      if (known?.token !== 'wanted' || known.principal.id !== by) return undefined
      if (!known.grant || grantState(known.grant, now()) !== 'active') return undefined
      const read = await shelf.get(id)
      if (read?.value.token !== 'wanted') return undefined
      const next: AccessDocument = { ...read.value, token: 'shown' }
      const kept = await shelf.put(id, next, read.version, keepUntil(next))
      if (!kept) return undefined
      directory.learn(kept)
      return next
    },
    async used(grantId, { id, decisionId }) {
      const kept = await change(grantId, (document, grant) =>
        grant.firstUsedAt === null ? { ...document, grant: { ...grant, firstUsedAt: now() } } : undefined,
      )
      if (!kept) return
      const facts = { ...recordFacts(kept.value), by: id, decision_id: decisionId }
      await record({ event: 'access.used', facts })
    },
    async usedUp(grantId) {
      const kept = await change(grantId, (document, grant) =>
        grant.end ? undefined : ended(document, grant, 'used_up', null, null),
      )
      if (!kept) return
      await record({
        event: 'access.expired',
        facts: { ...recordFacts(kept.value), by: null, why: 'used_up' },
      })
    },
    async sweep() {
      const at = now()
      for (const { id, version, value } of directory.overdue(at)) {
        const next: AccessDocument = value.grant
          ? ended(value, value.grant, 'expired', null, null)
          : { ...value, state: 'expired' }
        const kept = await shelf.put(id, next, version, keepUntil(next))
        // Another gateway was faster, and has told.
        if (!kept) continue
        directory.learn(kept)
        await record({ event: 'access.expired', facts: { ...recordFacts(next), by: null } })
      }
    },
  }
}

function approvedEvent(document: AccessDocument, by: string, comment: string | null): AccessEvent {
  const { grant, approvals } = document
  return {
    event: 'access.approved',
    facts: {
      ...recordFacts(document),
      by,
      comment,
      // An approval of several is on record by itself.
      approvals: approvals.map(({ id }) => id),
      ...(grant
        ? {
            starts_at: new Date(grant.startsAt).toISOString(),
            expires_at: new Date(grant.expiresAt).toISOString(),
          }
        : {}),
    },
  }
}

function unique(names: readonly string[] = []): string[] {
  return [...new Set(names.map(name => name.toWellFormed()))]
}

function refuseDenied({ outcome, message }: AccessVerdict): void {
  if (outcome === 'deny') throw refused(message ?? 'The policy does not allow this access')
}

function refuseTooLong({ max_duration, message }: AccessVerdict, { durationMs }: AccessDocument): void {
  if (max_duration === undefined || durationMs <= parseDuration(max_duration)) return
  throw refused([message, `The policy allows this for ${max_duration} at most`].filter(Boolean).join(' '))
}

function refused(title: string): GatewayError {
  return new GatewayError('forbidden', 'gateway/access refused', { title })
}

function notYours(): GatewayError {
  return new GatewayError('forbidden', 'nobody approves their own request', {
    title: 'Nobody approves their own request',
  })
}

function conflict(title: string): GatewayError {
  return new GatewayError('conflict', title, { title })
}

function notFound(): GatewayError {
  return new GatewayError('not_found', 'no such request or grant')
}

function invalid(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}

function titleOf(error: unknown): string {
  return error instanceof GatewayError ? error.title : 'The gateway could not decide'
}
