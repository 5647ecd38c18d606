/** Deciding on requests: approving and denying, by who may and by the operator. */
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Book } from './book.ts'
import { type AccessDocument, isPromised, requestState } from './document.ts'
import { approvedEvent, deniedEvent } from './events.ts'
import { granted, type Judgement, refuseTooLong } from './judgement.ts'
import { conflict, notYours } from './refusals.ts'
import type { Judge } from './verdict.ts'

export interface Deciding {
  /** @throws GatewayError `not_found`, `forbidden`, `conflict`, `audit_unavailable` */
  approve(id: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  /** By who may approve, or by who asked. @throws GatewayError as `approve` does. */
  deny(id: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  /** As an operator, who needs nobody's leave; what the policy denies is denied. @throws GatewayError as `approve` does. */
  decideAsOperator(
    id: string,
    approve: boolean,
    comment: string | null,
    judge: Judge,
  ): Promise<AccessDocument>
  mayDecide(document: AccessDocument, principal: Principal, judge: Judge): boolean
}

/** Who decides on the admin listener. */
export const OPERATOR = 'operator'
/** The ids that an approval by the operator gives. */
const OPERATOR_ROLES: readonly string[] = []

export function createDeciding(book: Book, judgement: Judgement, now: () => EpochMs): Deciding {
  function refuseDecided(document: AccessDocument): void {
    const state = requestState(document, now())
    if (state !== 'pending') throw conflict(`This request is ${state} and no longer pending`)
    if (isPromised(document)) throw conflict('This request is being approved and no longer pending')
  }

  function denied(document: AccessDocument, by: string, comment: string | null): AccessDocument {
    return { ...document, state: 'denied', denial: { by, comment, at: now() } }
  }

  return {
    approve(id, by, comment, judge) {
      const decide = (document: AccessDocument): AccessDocument => {
        refuseDecided(document)
        const verdict = judgement.entitled(document, by, judge)
        if (by.id === document.principal.id && verdict.self_approval !== true) throw notYours()
        if (document.approvals.some(approval => approval.id === by.id)) {
          throw conflict('You have approved this already')
        }
        refuseTooLong(verdict, document)
        const approvals = [...document.approvals, { id: by.id, roles: by.roles, at: now(), comment }]
        const approved = { ...document, approvals }
        return verdict.outcome === 'approve' || approvals.length >= (verdict.approvals ?? 1)
          ? granted(approved, verdict, approvals.map(approval => approval.id).join(', '), now())
          : approved
      }
      return book.lend(id, decide, next => approvedEvent(next, by.id, comment))
    },

    deny(id, by, comment, judge) {
      const decide = (document: AccessDocument): AccessDocument => {
        refuseDecided(document)
        if (by.id !== document.principal.id) judgement.entitled(document, by, judge)
        return denied(document, by.id, comment)
      }
      return book.take(id, decide, next => deniedEvent(next, by.id, comment))
    },

    decideAsOperator(id, approves, comment, judge) {
      const approve = (document: AccessDocument): AccessDocument => {
        refuseDecided(document)
        const approval = { id: OPERATOR, roles: OPERATOR_ROLES, at: now(), comment }
        const approved = { ...document, approvals: [...document.approvals, approval] }
        return granted(approved, judgement.on(document, judge), OPERATOR, now())
      }
      const deny = (document: AccessDocument): AccessDocument => {
        refuseDecided(document)
        return denied(document, OPERATOR, comment)
      }
      return approves
        ? book.lend(id, approve, next => approvedEvent(next, OPERATOR, comment))
        : book.take(id, deny, next => deniedEvent(next, OPERATOR, comment))
    },

    mayDecide(document, principal, judge) {
      try {
        judgement.entitled(document, principal, judge)
        return true
      } catch {
        return false
      }
    },
  }
}
