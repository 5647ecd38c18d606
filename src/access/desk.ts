/**
 * The desk: where access is asked for, approved, denied, given back and revoked.
 */
import { StoreUnavailable } from '../contract/counters.ts'
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { type Asking, createAsking } from './asking.ts'
import { createBook } from './book.ts'
import { createDeciding, type Deciding } from './deciding.ts'
import type { Directory } from './directory.ts'
import type { AccessDocument } from './document.ts'
import type { AccessEvent } from './events.ts'
import { createJudgement } from './judgement.ts'
import { createUsing, type Using } from './using.ts'

export interface Desk extends Deciding, Using {
  /**
   * @returns The request: a new one, or the first that asked the same and is not over.
   * @throws GatewayError `invalid_request`, `forbidden` as the policy says, `audit_unavailable`
   */
  readonly ask: Asking
  /** As it is in the store, of which this gateway may not have been told yet; where that is away, as it was told. */
  find(id: string): Promise<AccessDocument | undefined>
}

export interface DeskNeeds {
  readonly shelf: Shelf<AccessDocument>
  /** Which request asked a question first, by a digest of the question. */
  readonly questions: Shelf<{ readonly request: string }>
  readonly directory: Directory
  now(): EpochMs
  /** @param prefix - `r_`. */
  newId(prefix: string): string
  digest(text: string): string
  /** Resolves when the event is on record. @throws GatewayError `audit_unavailable` */
  record(event: AccessEvent): Promise<void>
}

export function createDesk(needs: DeskNeeds): Desk {
  const { shelf, directory, now } = needs
  const book = createBook(needs)
  const judgement = createJudgement(directory, now)
  return {
    ask: createAsking({ ...needs, book, judgement }),
    ...createDeciding(book, judgement, now),
    ...createUsing({ directory, book, judgement, now }),
    async find(id) {
      try {
        const read = await shelf.get(id)
        if (read) directory.learn(read)
        return read?.value
      } catch (error) {
        const known = directory.get(id)
        if (!known || !(error instanceof StoreUnavailable)) throw error
        return known.value
      }
    },
  }
}
