/**
 * What it costs to admit a request and to settle it, per store: three limits, one of which is a lease.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { StoreConfig } from '../contract/config/store.ts'
import { claimsOf } from '../limits/admit.ts'
import { createLedger, type Ledger, NOTHING } from '../limits/ledger.ts'
import { createSharedLedger } from '../limits/shared-ledger.ts'
import { newId } from '../server/ids.ts'
import { openStore } from '../store/open.ts'

/** Microseconds for taking and settling, one after the other, median. */
export type AdmitCost = Readonly<Record<string, number>>

const CLAIMS = claimsOf(
  [
    { name: 'requests', unit: 'requests', window: '1m' },
    { name: 'tokens', unit: 'tokens', window: 'calendar_day' },
    { name: 'streams', unit: 'concurrency' },
  ].map(limit => ({ ...limit, key: 'bench', limit: 1e12 }) as Parameters<typeof claimsOf>[0][number]),
)
const RESERVED = { ...NOTHING, requests: 1, tokens: 500, concurrency: 1 }
const USED = { ...RESERVED, tokens: 100, concurrency: 0 }

/** @param config - A Redis is measured where it is configured; a file of SQLite is one of its own. */
export async function benchAdmit(config: StoreConfig, turns: number): Promise<AdmitCost> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
  try {
    return {
      memory_us: await timed(createLedger(), turns),
      sqlite_us: await timedIn(
        { engine: 'sqlite', path: path.join(folder, 'store.db'), onFailure: 'refuse' },
        turns,
      ),
      ...(config.engine === 'redis'
        ? { redis_us: await timedIn({ ...config, prefix: `sallyport-bench-${newId(Date.now())}` }, turns) }
        : {}),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function timedIn(config: StoreConfig, turns: number): Promise<number> {
  const store = await openStore(config, { now: Date.now, gateway: newId(Date.now()) })
  try {
    if (!store.counters) throw new Error(`${config.engine} keeps no counters`)
    return await timed(
      createSharedLedger({ counters: store.counters, newId: () => newId(Date.now()) }),
      turns,
    )
  } finally {
    await store.close()
  }
}

async function timed(ledger: Ledger, turns: number): Promise<number> {
  const us = new Float64Array(turns)
  for (let turn = -turns / 10; turn < turns; turn++) {
    const began = performance.now()
    const taking = ledger.take(CLAIMS, RESERVED, Date.now())
    // What answers at once is not waited for, as in the corridor.
    const taken = taking instanceof Promise ? await taking : taking
    if (taken.taken) taken.reservation.settle(USED)
    if (turn >= 0) us[turn] = (performance.now() - began) * 1000
  }
  return Math.round((us.sort()[Math.floor(turns / 2)] ?? 0) * 100) / 100
}
