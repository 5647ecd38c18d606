/**
 * What a gateway shares with others through its store: the store itself and the ledger of limits,
 * looked after for as long as the gateway runs.
 */
import type { StoreConfig } from '../contract/config/store.ts'
import { LEASE_MS } from '../contract/counters.ts'
import { createGuardedLedger, type GuardedLedger, type LedgerMode } from '../limits/guarded-ledger.ts'
import { createLedger, type Ledger } from '../limits/ledger.ts'
import { createSharedLedger, type SharedLedger } from '../limits/shared-ledger.ts'
import { newId } from '../server/ids.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'

export interface SharedState {
  readonly store: Store
  readonly ledger: Ledger
  status(): StoreStatus
  close(): Promise<void>
}

export interface StoreStatus {
  readonly engine: string
  readonly ok: boolean
  /** How limits are enforced now. */
  readonly mode: LedgerMode
  readonly on_failure: 'refuse' | 'local'
  /** How many share the store, as it said last. */
  readonly gateways: number
}

export interface SharedStateNeeds {
  readonly config: StoreConfig
  readonly log: OperatorLog
  readonly metrics: Pick<Metrics, 'store' | 'storeMode'>
  now(): number
}

/** How soon it is noticed that a store is away, or back. */
const TEND_EVERY_MS = 100

/** @throws StoreUnavailable when the store of this machine cannot be opened. */
export async function openSharedState({ config, log, metrics, now }: SharedStateNeeds): Promise<SharedState> {
  const { engine, onFailure } = config
  const store = await openStore(config, {
    now,
    gateway: newId(now()),
    onState(ok, cause) {
      metrics.store(engine, ok)
      if (ok) log.info('store_answers', { engine })
      else log.error('store_away', { engine, message: String(cause), on_failure: onFailure })
    },
  })
  metrics.store(engine, store.ok())
  const ledger = ledgerIn(store)
  const tend = ledger && setInterval(() => void ledger.tend(now()), TEND_EVERY_MS).unref()
  metrics.storeMode('shared')
  await ledger?.tend(now())

  function ledgerIn({ counters }: Store): GuardedLedger | undefined {
    if (!counters) return undefined
    const nextId = (): string => newId(now())
    const shared: SharedLedger = createSharedLedger({
      counters,
      newId: nextId,
      onCounts: (order, counts) => guarded.noticed(order, counts),
    })
    const guarded = createGuardedLedger({
      shared,
      onFailure,
      storeOk: store.ok,
      newId: nextId,
      renewEveryMs: LEASE_MS / 3,
      onMode(mode) {
        metrics.storeMode(mode)
        log.warn('limits_mode', { mode, gateways: guarded.gateways() })
      },
    })
    return guarded
  }

  return {
    store,
    ledger: ledger ?? createLedger(),
    status: () => ({
      engine,
      ok: store.ok(),
      mode: ledger?.mode() ?? 'shared',
      on_failure: onFailure,
      gateways: ledger?.gateways() ?? 1,
    }),
    async close() {
      clearInterval(tend)
      await store.close()
    },
  }
}
