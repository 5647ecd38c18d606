/** Judgement: what the policy says of a request, of whoever decides on it, and of the grant that follows. */
import type { AccessVerdict } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import type { Directory } from './directory.ts'
import type { AccessDocument, GrantDocument } from './document.ts'
import { refused } from './refusals.ts'
import { isApprover, type Judge, questionAbout, verdictOn } from './verdict.ts'

export interface Judgement {
  /** @throws GatewayError `forbidden` where it is denied. */
  on(document: AccessDocument, judge: Judge): AccessVerdict
  /** What the policy says of this approver at this moment. @throws GatewayError `forbidden` */
  entitled(document: AccessDocument, by: Principal, judge: Judge): AccessVerdict
}

export function createJudgement(directory: Directory, now: () => EpochMs): Judgement {
  function ask(document: AccessDocument, approver: Principal | null, judge: Judge): AccessVerdict {
    const grants = directory.activeOf(document.principal.id, now()).map(({ facts }) => facts)
    return verdictOn(questionAbout(document, approver, grants), judge)
  }

  /** An answer that nobody's word changes names nobody. */
  function approvesBecauseOf(document: AccessDocument, { outcome }: AccessVerdict, judge: Judge): boolean {
    return outcome === 'approve' && ask(document, null, judge).outcome !== 'approve'
  }

  return {
    on(document, judge) {
      const verdict = ask(document, null, judge)
      refuseDenied(verdict)
      return verdict
    },
    entitled(document, by, judge) {
      const verdict = ask(document, by, judge)
      refuseDenied(verdict)
      if (isApprover(verdict, by) || approvesBecauseOf(document, verdict, judge)) return verdict
      throw new GatewayError('forbidden', 'the policy does not name this approver', {
        title: 'You may not decide on this request',
      })
    },
  }
}

function refuseDenied({ outcome, message }: AccessVerdict): void {
  if (outcome === 'deny') throw refused(message ?? 'The policy does not allow this access')
}

/** @throws GatewayError `forbidden` */
export function refuseTooLong(
  { max_duration, message }: AccessVerdict,
  { durationMs }: AccessDocument,
): void {
  if (max_duration === undefined || durationMs <= parseDuration(max_duration)) return
  throw refused([message, `The policy allows this for ${max_duration} at most`].filter(Boolean).join(' '))
}

/** The request with its grant, whose clock starts now. @param by - Null: the policy alone. */
export function granted(
  document: AccessDocument,
  verdict: AccessVerdict,
  by: string | null,
  now: EpochMs,
): AccessDocument {
  const startsAt = Math.max(now, document.notBefore ?? 0)
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
