/**
 * A shelf: JSON documents by id, with versions, in a store: keys, grants, requests for access.
 *
 * Few are written and all are read often, so a room keeps what it needs of a shelf in memory and is
 * told of every change, whoever made it.
 */
import type { EpochMs } from './units.ts'

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
  /** Another process is known to have written it: those who watch are told before it is told by itself. */
  look?(id: string): void | Promise<void>
}

export interface Kept<T> {
  readonly id: string
  /** 1 for the first, then counted up. */
  readonly version: number
  readonly value: T
}

/** What is kept now, or the id of what was removed. */
export type Change<T> = { readonly kept: Kept<T> } | { readonly removed: string }
