import { type Amounts, NOTHING } from '../../src/limits/ledger.ts'

/** A request that asks for no tokens. */
export const ONE: Amounts = { ...NOTHING, requests: 1, concurrency: 1 }

/** The same when it is over. */
export const DONE: Amounts = { ...ONE, concurrency: 0 }
