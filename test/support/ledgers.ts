/** Ledgers for tests, the claims that they are asked for, and the asking. */
import {
  type Amounts,
  type Claim,
  createLedger,
  type Ledger,
  type Reservation,
  type Taking,
} from '../../src/limits/ledger.ts'
import { createSharedLedger } from '../../src/limits/shared-ledger.ts'
import { newId } from '../../src/server/ids.ts'
import type { Store } from '../../src/store/store.ts'
import { ONE } from './amounts.ts'

export const MINUTE = 60_000
export const NOON = Date.parse('2026-01-01T12:00:00Z')

export const requests = (members: Partial<Claim> = {}): Claim => ({
  name: 'rpm',
  key: 'ana',
  unit: 'requests',
  limit: 2,
  window: { ms: MINUTE },
  observe: false,
  ...members,
})
export const streams = (members: Partial<Claim> = {}): Claim =>
  requests({ name: 'streams', unit: 'concurrency', window: undefined, ...members })
export const tokens = (members: Partial<Claim> = {}): Claim =>
  requests({ name: 'tokens', unit: 'tokens', ...members })

export const ledgerIn = ({ counters }: Store): Ledger =>
  counters ? createSharedLedger({ counters, newId: () => newId(NOON) }) : createLedger()

export const take = async (
  ledger: Ledger,
  claims: readonly Claim[],
  now = NOON,
  amounts: Amounts = ONE,
): Promise<Taking> => ledger.take(claims, amounts, now)

export const taken = async (
  ledger: Ledger,
  claims: readonly Claim[],
  now = NOON,
  amounts: Amounts = ONE,
): Promise<Reservation> => {
  const taking = await take(ledger, claims, now, amounts)
  if (!taking.taken) throw new Error(`refused by ${taking.refusedBy.claim.name}`)
  return taking.reservation
}

export const isTaken = async (ledger: Ledger, claims: readonly Claim[], now = NOON): Promise<boolean> =>
  (await take(ledger, claims, now)).taken

export const left = async (ledger: Ledger, claim: Claim, now = NOON): Promise<number | undefined> =>
  (await ledger.look([claim], now))[0]?.remaining
