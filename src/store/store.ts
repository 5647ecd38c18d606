/**
 * A store: where what must outlive a request, a reload or a gateway is kept, and through which
 * gateways that share it see the same.
 */
import type { Counters } from '../contract/counters.ts'
import type { Shelf } from '../contract/shelf.ts'
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

/** Told when a store stops answering, and when it answers again. */
export type StoreStateListener = (ok: boolean, cause?: unknown) => void
