/**
 * The book: how a step is written, so that of two who take one at the same moment one is first, and so
 * that nothing is lent that is not on record.
 *
 * What lends access is written twice: as a promise, which lends nothing, and once that is on record, as
 * the grant. Whoever dies in between leaves a request that is soon over, and no grant. What takes access
 * away stands at once, on record or not.
 */
import type { Kept, Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Directory } from './directory.ts'
import { type AccessDocument, type GrantDocument, keepUntil, promise } from './document.ts'
import type { AccessEvent } from './events.ts'
import { conflict, notFound } from './refusals.ts'

export interface Book {
  /**
   * What is written of a request before it is on record.
   * @param read - Where there was something before. @returns Undefined when another was faster.
   */
  begin(next: AccessDocument, read?: Kept<AccessDocument>): Promise<Kept<AccessDocument> | undefined>
  /**
   * Puts on record what was begun, and lets it hold; or undoes it.
   * @param before - Where there was something before.
   * @throws GatewayError `audit_unavailable`, or `conflict` when it took too long
   */
  settle(
    begun: Kept<AccessDocument>,
    next: AccessDocument,
    events: readonly AccessEvent[],
    before?: AccessDocument,
  ): Promise<AccessDocument>
  /** Forgets what was begun. */
  drop(begun: Kept<AccessDocument>): Promise<void>
  /**
   * A step that may lend: both of the above, on what is in the store at that moment.
   * @param decide - Throws where there is nothing to decide. @throws GatewayError `not_found`, as `settle` does
   */
  lend(
    id: string,
    decide: (document: AccessDocument) => AccessDocument,
    event: (next: AccessDocument) => AccessEvent,
  ): Promise<AccessDocument>
  /** A step that takes away. @throws GatewayError `not_found`, `audit_unavailable`: then it stands all the same */
  take(
    id: string,
    decide: (document: AccessDocument) => AccessDocument,
    event: (next: AccessDocument) => AccessEvent,
  ): Promise<AccessDocument>
  /**
   * A change of a grant, which is not read anew unless somebody else wrote.
   * @param next - Undefined where there is nothing to change.
   * @returns What was changed here, and nowhere before.
   */
  change(
    grantId: string,
    next: (document: AccessDocument, grant: GrantDocument) => AccessDocument | undefined,
  ): Promise<AccessDocument | undefined>
  /** @returns Whether nobody wrote since it was read. */
  replace(read: Kept<AccessDocument>, next: AccessDocument): Promise<boolean>
  /** As it is in the store: this gateway may not have been told of it yet. @throws GatewayError `not_found` */
  ofGrant(grantId: string): Promise<AccessDocument>
  read(id: string): Promise<Kept<AccessDocument> | undefined>
  record(event: AccessEvent): Promise<void>
}

export interface BookNeeds {
  readonly shelf: Shelf<AccessDocument>
  readonly directory: Directory
  now(): EpochMs
  /** Resolves when the event is on record. @throws GatewayError `audit_unavailable` */
  record(event: AccessEvent): Promise<void>
}

export function createBook({ shelf, directory, now, record }: BookNeeds): Book {
  const put = (id: string, next: AccessDocument, version: number) =>
    shelf.put(id, next, version, keepUntil(next))

  function begin(
    next: AccessDocument,
    read?: Kept<AccessDocument>,
  ): Promise<Kept<AccessDocument> | undefined> {
    return put(next.id, next.grant ? promise(next, read?.value, now()) : next, read?.version ?? 0)
  }

  async function drop({ id, version }: Kept<AccessDocument>): Promise<void> {
    await shelf.remove(id, version)
  }

  async function settle(
    begun: Kept<AccessDocument>,
    next: AccessDocument,
    events: readonly AccessEvent[],
    before?: AccessDocument,
  ): Promise<AccessDocument> {
    try {
      for (const event of events) await record(event)
    } catch (error) {
      if (before) await put(begun.id, before, begun.version)
      else await drop(begun)
      throw error
    }
    const kept = next.grant ? await put(begun.id, next, begun.version) : begun
    if (!kept) throw conflict('It took too long to put this on record')
    directory.learn(kept)
    return next
  }

  async function present(id: string): Promise<Kept<AccessDocument>> {
    const kept = await shelf.get(id)
    if (!kept) throw notFound()
    return kept
  }

  async function replace({ id, version }: Kept<AccessDocument>, next: AccessDocument): Promise<boolean> {
    const kept = await put(id, next, version)
    if (kept) directory.learn(kept)
    return kept !== undefined
  }

  return {
    begin,
    settle,
    drop,
    record,
    replace,
    read: id => shelf.get(id),
    async lend(id, decide, event) {
      for (;;) {
        const before = await present(id)
        const next = decide(before.value)
        const begun = await begin(next, before)
        if (begun) return settle(begun, next, [event(next)], before.value)
      }
    },
    async take(id, decide, event) {
      for (;;) {
        const before = await present(id)
        const next = decide(before.value)
        if (!(await replace(before, next))) continue
        await record(event(next))
        return next
      }
    },
    async change(grantId, next) {
      let known = directory.ofGrant(grantId)
      while (known?.value.grant) {
        const changed = next(known.value, known.value.grant)
        if (!changed) return undefined
        if (await replace(known, changed)) return changed
        known = await shelf.get(known.id)
      }
      return undefined
    },
    async ofGrant(grantId) {
      const kept = await shelf.get(`r_${grantId.slice(2)}`)
      if (kept?.value.grant?.id !== grantId) throw notFound()
      return kept.value
    },
  }
}
