/**
 * A store: where what must outlive a request, a reload or a gateway is kept, and through which
 * gateways that share it see the same.
 *
 * A shelf holds JSON documents by id: keys, grants, requests for access, signing keys. Few are
 * written and all are read often, so a room keeps what it needs of a shelf in memory and is told
 * of every change, whoever made it.
 */
import type { Counters } from '../contract/counters.ts'
import type { EpochMs } from '../contract/units.ts'
import type { UsageBook } from '../contract/usage.ts'

export { StoreUnavailable } from '../contract/counters.ts'

export interface Store {
  readonly engine: 'memory' | 'sqlite' | 'redis'
  /** Whether it answers, as far as is known. */
  ok(): boolean
  /** The same shelf for the same name. */
  shelf<T>(name: string): Shelf<T>
  /** Undefined where nobody shares them: a ledger in memory is all there is to it. */
  readonly counters?: Counters
  readonly usage: UsageBook
  close(): Promise<void>
}

export interface Shelf<T> {
  get(id: string): Promise<Kept<T> | undefined>
  /** All of them, in no order. */
  all(): Promise<Kept<T>[]>
  /**
   * Writes a document if nobody else has since: `version` is the one that was read, 0 where there
   * was none.
   * @returns What is kept now, or undefined when another was faster; then read again.
   */
  put(id: string, value: T, version: number, keepUntil?: EpochMs): Promise<Kept<T> | undefined>
  /** @returns Whether it was there in that version. */
  remove(id: string, version: number): Promise<boolean>
  /**
   * Tells of each change after it was made, here or elsewhere, until closed. A document may be told
   * of twice, never with an older version after a newer one.
   */
  watch(onChange: (change: Change<T>) => void): { close(): void }
}

export interface Kept<T> {
  readonly id: string
  /** 1 for the first, then counted up. */
  readonly version: number
  readonly value: T
}

/** What is kept now, or the id of what was removed. */
export type Change<T> = { readonly kept: Kept<T> } | { readonly removed: string }

/** Told when a store stops answering, and when it answers again. */
export type StoreStateListener = (ok: boolean, cause?: unknown) => void
