/** Using access until it ends: the first use, the credential, giving back, revoking, and what time ends. */
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Book } from './book.ts'
import { OPERATOR } from './deciding.ts'
import type { Directory } from './directory.ts'
import { type AccessDocument, ended, type GrantEnd, grantState } from './document.ts'
import { endedEvent, expiredEvent, usedEvent } from './events.ts'
import type { Judgement } from './judgement.ts'
import { conflict } from './refusals.ts'
import type { Judge } from './verdict.ts'

export interface Using {
  /** By the holder (returned), or by who may approve (revoked). @throws GatewayError as `approve` does. */
  end(grantId: string, by: Principal, comment: string | null, judge: Judge): Promise<AccessDocument>
  endAsOperator(grantId: string, comment: string | null): Promise<AccessDocument>
  /** Takes the right to see the credential of a request, which there is once. */
  takeToken(id: string, by: string): Promise<AccessDocument | undefined>
  /** A request stood on the grant. @returns When it is on record, where it is the first. */
  used(grantId: string, by: { readonly id: string; readonly decisionId: string }): Promise<void>
  /** The grant's ceiling is reached. */
  usedUp(grantId: string): Promise<void>
  /** Says of what is over that it is. */
  sweep(): Promise<void>
}

export interface UsingNeeds {
  readonly directory: Directory
  readonly book: Book
  readonly judgement: Judgement
  now(): EpochMs
}

export function createUsing({ directory, book, judgement, now }: UsingNeeds): Using {
  function endBy(
    id: string,
    state: 'returned' | 'revoked',
    by: string,
    comment: string | null,
  ): Promise<AccessDocument> {
    const decide = (document: AccessDocument): AccessDocument => {
      const { grant } = document
      if (!grant || grantState(grant, now()) !== 'active') throw conflict('This grant is over')
      return ended(document, grant, { state, at: now(), by, comment })
    }
    return book.take(id, decide, next => endedEvent(next, state, by, comment))
  }

  const byItself = (state: 'expired' | 'used_up'): GrantEnd => ({
    state,
    at: now(),
    by: null,
    comment: null,
  })

  return {
    async end(grantId, by, comment, judge) {
      const document = await book.ofGrant(grantId)
      const own = by.id === document.principal.id
      if (!own) judgement.entitled(document, by, judge)
      return endBy(document.id, own ? 'returned' : 'revoked', by.id, comment)
    },

    async endAsOperator(grantId, comment) {
      return endBy((await book.ofGrant(grantId)).id, 'revoked', OPERATOR, comment)
    },

    async takeToken(id, by) {
      const read = await book.read(id)
      if (read?.value.token !== 'wanted' || read.value.principal.id !== by) return undefined
      const { grant } = read.value
      if (!grant || grantState(grant, now()) !== 'active') return undefined
      const next: AccessDocument = { ...read.value, token: 'shown' }
      return (await book.replace(read, next)) ? next : undefined
    },

    async used(grantId, { id, decisionId }) {
      const changed = await book.change(grantId, (document, grant) =>
        grant.firstUsedAt === null ? { ...document, grant: { ...grant, firstUsedAt: now() } } : undefined,
      )
      if (changed) await book.record(usedEvent(changed, id, decisionId))
    },

    async usedUp(grantId) {
      const changed = await book.change(grantId, (document, grant) =>
        grant.end ? undefined : ended(document, grant, byItself('used_up')),
      )
      if (changed) await book.record(expiredEvent(changed))
    },

    async sweep() {
      for (const kept of directory.overdue(now())) {
        const { value } = kept
        const next: AccessDocument = value.grant
          ? ended(value, value.grant, byItself('expired'))
          : { ...value, state: 'expired' }
        // Where another gateway was faster, it has told.
        if (await book.replace(kept, next)) await book.record(expiredEvent(next))
      }
    },
  }
}
