/**
 * Counters in an SQLite file: each step is one transaction, which nobody else's can come between.
 */
import { type Count, type Counters, DUST, LEASE_MS, type Order, type Taken } from '../contract/counters.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Sql } from './sql.ts'

/** Windows that have ended are looked for once in so many orders. */
const SWEEP_EVERY = 4096

export function createSqliteCounters(sql: Sql, gateway: string): Counters {
  const read = sql.prepare('SELECT used, ends_at FROM counters WHERE name = ?')
  const write = sql.prepare('INSERT OR REPLACE INTO counters VALUES (?, ?, ?)')
  const drop = sql.prepare('DELETE FROM counters WHERE name = ?')
  const sweep = sql.prepare('DELETE FROM counters WHERE ends_at <= ?')
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

  function count(name: string, endsAt: EpochMs | undefined, now: EpochMs): Count {
    if (endsAt === undefined) return { used: Number(leases.get(name, now)?.held), endsAt }
    const row = read.get(name)
    const running = row && (row.ends_at === null || now < Number(row.ends_at))
    if (!running) return { used: 0, endsAt }
    return {
      used: Number(row.used),
      endsAt: row.ends_at === null ? Number.POSITIVE_INFINITY : Number(row.ends_at),
    }
  }

  function take({ id, bills, force }: Order, now: EpochMs): Taken {
    if (--untilSweep <= 0) {
      untilSweep = SWEEP_EVERY
      sweep.run(now)
    }
    const counts = bills.map(bill => count(bill.name, bill.endsAt, now))
    const refusedBy = bills.findIndex(
      ({ amount, limit }, index) => (counts[index] as Count).used + amount > limit + DUST,
    )
    if (refusedBy >= 0 && !force) return { refusedBy, counts }
    const after = bills.map(({ name, amount }, index) => {
      const { used, endsAt } = counts[index] as Count
      if (endsAt === undefined) {
        if (amount > 0) hold.run(name, id, now + LEASE_MS)
      } else write.run(name, used + amount, Number.isFinite(endsAt) ? endsAt : null)
      return { used: used + amount, endsAt }
    })
    return { refusedBy: undefined, counts: after }
  }

  function correct({ id, bills }: Order, { counts }: Taken, differences: readonly number[]): void {
    for (const [index, { name }] of bills.entries()) {
      const difference = differences[index] ?? 0
      const charged = counts[index]?.endsAt
      if (difference === 0) continue
      if (charged === undefined) {
        release.run(name, id)
        continue
      }
      const row = read.get(name)
      // A window that has ended since is not corrected in the one after it.
      if (!row || (row.ends_at ?? Number.POSITIVE_INFINITY) !== charged) continue
      const used = Number(row.used) + difference
      if (used < DUST) drop.run(name)
      else write.run(name, used, row.ends_at ?? null)
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
    look: (counters, now) => counters.map(({ name, endsAt }) => count(name, endsAt, now)),
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
