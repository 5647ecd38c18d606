/**
 * Access: the grants of all principals, and the desk where they are asked for.
 */
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { createDesk, type Desk } from './desk.ts'
import { createDirectory, type Directory, type EndedGrant } from './directory.ts'
import type { AccessDocument } from './document.ts'
import type { AccessEvent } from './events.ts'

export interface Access {
  readonly desk: Desk
  readonly directory: Directory
  /** Reads what is in the store, now or once it is back, and looks at the clock from then on. @throws StoreUnavailable */
  open(): Promise<void>
  activeOf(principal: string, at: EpochMs): readonly ActiveGrant[]
  /** Resolves when a request changes; `cancel` resolves it at once. */
  changed(id: string): { readonly done: Promise<void>; cancel(): void }
  close(): void
}

export interface AccessNeeds {
  readonly requests: Shelf<AccessDocument>
  readonly questions: Shelf<{ readonly request: string }>
  now(): EpochMs
  /** Milliseconds on a clock that does not go back. */
  steady(): number
  newId(prefix: string): string
  digest(text: string): string
  /** Resolves when the event is on record. */
  record(event: AccessEvent): Promise<void>
  /** A grant is over, but not because it was used up. */
  onEnded(grant: EndedGrant): void
  every(ms: number, work: () => void): { close(): void }
  onFault(cause: unknown): void
}

/** How late the end of a grant is noticed where no request asks. */
const LOOK_MS = 200
const PURGE_MS = 600_000

export function createAccess(needs: AccessNeeds): Access {
  const { now, steady } = needs
  const waiting = new Map<string, Set<() => void>>()
  const timers: { close(): void }[] = []
  const directory = createDirectory({
    shelf: needs.requests,
    now,
    steady,
    onEnded(grant) {
      if (grant.why !== 'used_up') needs.onEnded(grant)
    },
    onChange(id) {
      for (const wake of waiting.get(id) ?? []) wake()
    },
  })
  const desk = createDesk({
    shelf: needs.requests,
    questions: needs.questions,
    directory,
    now,
    newId: needs.newId,
    digest: needs.digest,
    record: needs.record,
  })

  let sweeping = false
  function sweep(): void {
    // Streams end in time, however slowly the store takes the news of those before.
    const over = directory.overdue(now())
    if (sweeping || over.length === 0) return
    sweeping = true
    desk
      .sweep()
      .catch(needs.onFault)
      .finally(() => {
        sweeping = false
      })
  }

  let opening: Promise<void> | undefined
  /** Again and again where the store is away. */
  function open(): Promise<void> {
    opening ??= directory.open().finally(() => {
      opening = undefined
    })
    return opening
  }

  function look(): void {
    if (!directory.isRead()) open().catch(() => {})
    sweep()
  }

  return {
    desk,
    directory,
    activeOf: directory.activeOf,
    async open() {
      timers.push(needs.every(LOOK_MS, look))
      timers.push(needs.every(PURGE_MS, () => directory.purge(now())))
      await open()
    },
    changed(id) {
      let cancel = (): void => {}
      const done = new Promise<void>(resolve => {
        const waiters = waiting.get(id) ?? new Set()
        waiting.set(id, waiters)
        cancel = () => {
          waiters.delete(cancel)
          if (waiters.size === 0) waiting.delete(id)
          resolve()
        }
        waiters.add(cancel)
      })
      return { done, cancel: () => cancel() }
    },
    close() {
      directory.close()
      for (const timer of timers) timer.close()
      for (const waiters of waiting.values()) for (const wake of [...waiters]) wake()
    },
  }
}
