/**
 * Counters in an SQLite file: each step is one transaction, which nobody else's can come between.
 */
import {
  type Bill,
  type Count,
  type Counted,
  type Counters,
  DUST,
  LEASE_MS,
  type Order,
  type Taken,
} from '../contract/counters.ts'

import type { EpochMs } from '../contract/units.ts'
import type { Sql } from './sql.ts'
import { createSqliteSlots, createSqliteWindows, type SlotCount } from './sqlite-windows.ts'

/** Windows that have ended are looked for once in so many orders. */
const SWEEP_EVERY = 4096

export function createSqliteCounters(sql: Sql, gateway: string): Counters {
  const windows = createSqliteWindows(sql)
  const slots = createSqliteSlots(sql)
  const hold = sql.prepare('INSERT OR REPLACE INTO leases VALUES (?, ?, ?)')
  const release = sql.prepare('DELETE FROM leases WHERE counter = ? AND id = ?')
  const leases = sql.prepare('SELECT count(*) AS held FROM leases WHERE counter = ? AND ends_at > ?')
  const sweepLeases = sql.prepare('DELETE FROM leases WHERE ends_at <= ?')
  const live = sql.prepare('INSERT OR REPLACE INTO gateways VALUES (?, ?)')
  const bury = sql.prepare('DELETE FROM gateways WHERE ends_at <= ?')
  const living = sql.prepare('SELECT count(*) AS gateways FROM gateways')
  let untilSweep = SWEEP_EVERY
  /** What could not be corrected while the file could not be written. */
  let late: [Order, Taken, readonly number[]][] = []

  function count({ name, endsAt, rollingMs }: Counted, now: EpochMs): Count | SlotCount {
    if (endsAt === undefined) return { used: Number(leases.get(name, now)?.held), endsAt }
    return rollingMs === undefined ? windows.count(name, endsAt, now) : slots.count(name, rollingMs, now)
  }

  /** @returns How the counter stands after it. */
  function charge(
    { name, amount, endsAt, rollingMs }: Bill,
    count: Count | SlotCount,
    id: string,
    now: EpochMs,
  ): Count {
    const used = count.used + amount
    if (rollingMs !== undefined && 'newest' in count)
      return { used, endsAt: slots.charge(name, amount, rollingMs, count, now) }
    if (endsAt !== undefined) windows.write(name, used, count.endsAt)
    else if (amount > 0) hold.run(name, id, now + LEASE_MS)
    return { used, endsAt: count.endsAt }
  }

  function take({ id, bills, force }: Order, now: EpochMs): Taken {
    if (--untilSweep <= 0) {
      untilSweep = SWEEP_EVERY
      windows.sweep(now)
      slots.sweep(now)
    }
    const counts = bills.map(bill => count(bill, now))
    const excesses = bills.map(({ amount, limit }, index) => (counts[index] as Count).used + amount - limit)
    const refused = excesses.findIndex(excess => excess > DUST)
    if (refused >= 0 && !force)
      return { refusedBy: refused, counts, fitsAt: fitsAt(bills, counts, excesses, now) }
    const after = bills.map((bill, index) => charge(bill, counts[index] as Count, id, now))
    return { refusedBy: undefined, counts: after, fitsAt: undefined }
  }

  /** When all that refuse have room. */
  function fitsAt(
    bills: readonly Bill[],
    counts: readonly (Count | SlotCount)[],
    excesses: readonly number[],
    now: EpochMs,
  ): EpochMs | undefined {
    const times = bills.flatMap(({ name, rollingMs }, index) => {
      const [count, excess] = [counts[index] as Count, excesses[index] as number]
      if (excess <= DUST) return []
      return rollingMs !== undefined && 'newest' in count
        ? slots.fitsAt(name, excess, rollingMs, count as SlotCount, now)
        : (count.endsAt ?? [])
    })
    return times.length > 0 ? Math.max(...times) : undefined
  }

  function correct({ id, bills }: Order, { counts }: Taken, differences: readonly number[]): void {
    for (const [index, { name, rollingMs }] of bills.entries()) {
      const difference = differences[index] ?? 0
      const charged = counts[index]?.endsAt
      if (difference === 0) continue
      if (charged === undefined) release.run(name, id)
      else if (rollingMs === undefined) windows.correct(name, difference, charged)
      else slots.correct(name, difference, rollingMs, charged)
    }
  }

  return {
    take: (order, now) => sql.atomically(() => take(order, now)),
    settle(order, taken, differences) {
      if (differences.every(difference => difference === 0)) return
      try {
        sql.atomically(() => correct(order, taken, differences))
      } catch {
        late.push([order, taken, differences])
      }
    },
    look: (counters, now) => counters.map(counted => count(counted, now)),
    renew(held, now) {
      const gateways = sql.atomically(() => {
        for (const settlement of late) correct(...settlement)
        live.run(gateway, now + LEASE_MS)
        bury.run(now)
        sweepLeases.run(now)
        for (const { id, bills } of held)
          for (const { name, endsAt } of bills) if (endsAt === undefined) hold.run(name, id, now + LEASE_MS)
        return Number(living.get()?.gateways)
      })
      late = []
      return gateways
    },
  }
}
