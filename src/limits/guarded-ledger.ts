/**
 * A ledger whose store may be away. Then either everything that is limited is refused, or this
 * gateway enforces its share of each limit by itself and, before it asks the store again, charges
 * there what it let through.
 */
import { type Count, type Order, StoreUnavailable } from '../contract/counters.ts'
import { GatewayError } from '../contract/errors.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Amounts, Claim, Ledger, Standing, Taking } from './ledger.ts'
import type { SharedLedger } from './shared-ledger.ts'
import { createShares, type Shares } from './shares.ts'

export type LedgerMode = 'shared' | 'local' | 'refusing'

export interface GuardedLedger extends Ledger {
  mode(): LedgerMode
  /** To be called often: renews leases when it is time, and goes back to the store once it answers. */
  tend(now: EpochMs): Promise<void>
  /** How many gateways shared the store when it last said so. */
  gateways(): number
  /** Keeps how counters stood, for the share of this gateway. */
  noticed(order: Order, counts: readonly Count[]): void
}

export interface GuardedLedgerNeeds {
  readonly shared: SharedLedger
  readonly onFailure: 'refuse' | 'local'
  /** Whether the store answers, as far as is known. */
  storeOk(): boolean
  newId(): string
  /** Leases are renewed after this. */
  readonly renewEveryMs: number
  onMode?(mode: LedgerMode): void
}

export function createGuardedLedger(needs: GuardedLedgerNeeds): GuardedLedger {
  const { shared, onFailure, storeOk, renewEveryMs } = needs
  let gateways = 1
  let renewAt = 0
  let mode: LedgerMode = 'shared'
  let tending: Promise<void> | undefined
  const shares: Shares | undefined =
    onFailure === 'local' ? createShares({ shared, newId: needs.newId, gateways: () => gateways }) : undefined

  function enter(next: LedgerMode): void {
    if (next === mode) return
    mode = next
    needs.onMode?.(next)
  }

  /** @param local - What this gateway says by itself, where it may. */
  function guarded<T>(ask: () => T | Promise<T>, local: (shares: Shares) => T): T | Promise<T> {
    const away = (error: unknown): T => {
      if (!(error instanceof StoreUnavailable)) throw error
      enter(shares ? 'local' : 'refusing')
      if (shares) return local(shares)
      throw storeAway(error)
    }
    if (mode === 'local' && shares) return local(shares)
    if (mode === 'refusing') throw storeAway()
    try {
      const answer = ask()
      return answer instanceof Promise ? answer.catch(away) : answer
    } catch (error) {
      return away(error)
    }
  }

  async function look(now: EpochMs): Promise<void> {
    if (!storeOk()) {
      enter(shares ? 'local' : 'refusing')
      return
    }
    if (mode === 'shared' && now < renewAt) return
    // What runs here holds its leases again before anybody is let in beside it.
    gateways = Math.max(1, await shared.renew(now))
    renewAt = now + renewEveryMs
    // What comes in while this is charged is charged in the next turn.
    while (shares?.owing()) await shares.charge(now)
    enter('shared')
  }

  return {
    take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking | Promise<Taking> {
      // What nothing limits needs no store.
      if (claims.length === 0) return shared.take(claims, amounts, now)
      return guarded(
        () => shared.take(claims, amounts, now),
        own => own.take(claims, amounts, now),
      )
    },
    look(claims: readonly Claim[], now: EpochMs) {
      if (claims.length === 0) return []
      return guarded<readonly Standing[]>(
        () => shared.look(claims, now),
        own => own.look(claims, now),
      )
    },
    mode: () => mode,
    gateways: () => gateways,
    noticed: (order, counts) => shares?.noticed(order, counts),
    tend(now) {
      tending ??= look(now)
        .catch((error: unknown) => {
          if (!(error instanceof StoreUnavailable)) throw error
        })
        .finally(() => {
          tending = undefined
        })
      return tending
    },
  }
}

function storeAway(cause?: Error): GatewayError {
  return new GatewayError('overloaded', `the store does not answer${cause ? `: ${cause.message}` : ''}`, {
    cause,
    title: 'The store of limits does not answer; try again',
    retryAfterSeconds: 1,
  })
}
