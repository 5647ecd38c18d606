/**
 * What this room needs of the store: documents by id with versions, and to be told of changes.
 */
import type { EpochMs } from '../contract/units.ts'

export interface Shelf<T> {
  get(id: string): Promise<Kept<T> | undefined>
  all(): Promise<Kept<T>[]>
  /** @returns Undefined when another was faster: `version` is the one that was read, 0 for none. */
  put(id: string, value: T, version: number, keepUntil?: EpochMs): Promise<Kept<T> | undefined>
  remove(id: string, version: number): Promise<boolean>
  watch(onChange: (change: Change<T>) => void): { close(): void }
}

export interface Kept<T> {
  readonly id: string
  readonly version: number
  readonly value: T
}

export type Change<T> = { readonly kept: Kept<T> } | { readonly removed: string }
