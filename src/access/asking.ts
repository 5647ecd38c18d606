/** Asking for access: a new request, or the first that asked the same and is not over. */
import type { AccessRequestBody, AccessVerdict } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { Kept, Shelf } from '../contract/shelf.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import type { Book } from './book.ts'
import type { Directory } from './directory.ts'
import { type AccessDocument, isLive, isPromised, keepUntil, questionOf } from './document.ts'
import { type AccessEvent, approvedEvent, deniedEvent, requestedEvent } from './events.ts'
import { granted, type Judgement, refuseTooLong } from './judgement.ts'
import { invalid } from './refusals.ts'
import type { Judge } from './verdict.ts'

export type Asking = (principal: Principal, asked: AccessRequestBody, judge: Judge) => Promise<AccessDocument>

export interface AskingNeeds {
  readonly shelf: Shelf<AccessDocument>
  /** Which request asked a question first, by a digest of the question. */
  readonly questions: Shelf<{ readonly request: string }>
  readonly directory: Directory
  readonly book: Book
  readonly judgement: Judgement
  now(): EpochMs
  /** @param prefix - `r_`. */
  newId(prefix: string): string
  digest(text: string): string
}

const PENDING_MS = 3_600_000
const LONGEST_MS = 3650 * 86_400_000
/** Requests that wait and grants that are in force, of one principal. */
const MOST_LIVE = 100

export function createAsking(needs: AskingNeeds): Asking {
  const { shelf, questions, directory, book, judgement, now } = needs

  /** What the policy refuses is on record too. */
  async function judged(draft: AccessDocument, judge: Judge): Promise<AccessVerdict> {
    try {
      const verdict = judgement.on(draft, judge)
      refuseTooLong(verdict, draft)
      return verdict
    } catch (error) {
      await book.record(requestedEvent(draft))
      await book.record(deniedEvent(draft, 'policy', titleOf(error)))
      throw error
    }
  }

  function refuseFlood(principal: string): void {
    const live = directory.liveOf(principal)
    if (live >= MOST_LIVE) throw new GatewayError('rate_limited', `${live} requests and grants are open`)
  }

  function withVerdict(draft: AccessDocument, verdict: AccessVerdict): AccessDocument {
    const pendingFor = verdict.pending_for === undefined ? PENDING_MS : parseDuration(verdict.pending_for)
    const waiting = { ...draft, pendingUntil: draft.createdAt + Math.min(pendingFor, LONGEST_MS) }
    return verdict.outcome === 'approve' ? granted(waiting, verdict, null, now()) : waiting
  }

  /** What asked first may be approved by the policy itself by now. */
  async function sameAgain(first: Kept<AccessDocument>, verdict: AccessVerdict): Promise<AccessDocument> {
    const { value } = first
    if (verdict.outcome !== 'approve' || value.state !== 'pending' || isPromised(value)) return value
    const next = granted(value, verdict, null, now())
    const begun = await book.begin(next, first)
    if (!begun) return (await shelf.get(first.id))?.value ?? value
    return book.settle(begun, next, [approvedEvent(next, 'policy', null)], value)
  }

  return async (principal, asked, judge) => {
    const draft = draftOf(principal, asked, needs.newId('r_'), now())
    const verdict = await judged(draft, judge)
    const document = withVerdict(draft, verdict)
    const digest = needs.digest(questionOf(principal.id, { ...draft, token: draft.token !== 'no' }))
    for (;;) {
      const pointer = await questions.get(digest)
      const first = pointer && (await shelf.get(pointer.value.request))
      if (first && isLive(first.value, now())) return sameAgain(first, verdict)
      refuseFlood(principal.id)
      const begun = (await book.begin(document)) as Kept<AccessDocument>
      if (await questions.put(digest, { request: document.id }, pointer?.version ?? 0, keepUntil(document)))
        return book.settle(begun, document, openingEvents(document))
      // Somebody asked the same at the same moment and was first.
      await book.drop(begun)
    }
  }
}

function openingEvents(document: AccessDocument): AccessEvent[] {
  const requested = requestedEvent(document)
  return document.grant ? [requested, approvedEvent(document, 'policy', null)] : [requested]
}

/** @throws GatewayError `invalid_request` */
function draftOf(principal: Principal, asked: AccessRequestBody, id: string, at: EpochMs): AccessDocument {
  const durationMs = parseDuration(asked.duration)
  const notBefore = asked.not_before == null ? null : Date.parse(asked.not_before)
  const [models, roles] = [unique(asked.models), unique(asked.roles)]
  if (models.length + roles.length === 0) throw invalid('Name models or roles')
  if (!(durationMs >= 1 && durationMs <= LONGEST_MS)) throw invalid('duration is out of range')
  if (notBefore !== null && notBefore > at + LONGEST_MS) throw invalid('not_before is out of range')
  return {
    id,
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

function unique(names: readonly string[] = []): string[] {
  return [...new Set(names.map(name => name.toWellFormed()))]
}

function titleOf(error: unknown): string {
  return error instanceof GatewayError ? error.title : 'The gateway could not decide'
}
