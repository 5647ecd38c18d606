/**
 * Windows in an SQLite file: those that end at once, a row each, and those that roll, a row for each
 * slot. Each step is done within a transaction of the counters.
 */
import { type Count, DUST } from '../contract/counters.ts'
import { chargeEndsAt, fitsWhen, isDatedAnew, slotAt } from '../contract/slots.ts'
import type { EpochMs } from '../contract/units.ts'
import type { Sql } from './sql.ts'

export interface SqliteWindows {
  /** @param endsAt - When the window ends that would begin now. */
  count(name: string, endsAt: EpochMs, now: EpochMs): Count
  write(name: string, used: number, endsAt: EpochMs | undefined): void
  /** A window that has ended since is not corrected in the one after it. */
  correct(name: string, difference: number, endsAt: EpochMs): void
  sweep(now: EpochMs): void
}

export function createSqliteWindows(sql: Sql): SqliteWindows {
  const read = sql.prepare('SELECT used, ends_at FROM counters WHERE name = ?')
  const write = sql.prepare('INSERT OR REPLACE INTO counters VALUES (?, ?, ?)')
  const sweep = sql.prepare('DELETE FROM counters WHERE ends_at <= ?')
  const endOf = (value: unknown): EpochMs => (value === null ? Number.POSITIVE_INFINITY : Number(value))

  return {
    count(name, endsAt, now) {
      const row = read.get(name)
      const runsUntil = row ? endOf(row.ends_at) : now
      return row && now < runsUntil ? { used: Number(row.used), endsAt: runsUntil } : { used: 0, endsAt }
    },
    write: (name, used, endsAt) =>
      write.run(name, used, endsAt !== undefined && Number.isFinite(endsAt) ? endsAt : null),
    correct(name, difference, endsAt) {
      const row = read.get(name)
      if (!row || endOf(row.ends_at) !== endsAt) return
      write.run(name, withoutDust(Number(row.used) + difference), row.ends_at ?? null)
    },
    sweep: now => sweep.run(now),
  }
}

export interface SqliteSlots {
  count(name: string, rollingMs: number, now: EpochMs): SlotCount
  /** @param count - As it stood. @returns When what is charged leaves. */
  charge(name: string, amount: number, rollingMs: number, count: SlotCount, now: EpochMs): EpochMs
  /** @param excess - How much must have left. */
  fitsAt(name: string, excess: number, rollingMs: number, count: SlotCount, now: EpochMs): EpochMs
  /** What counts no longer is not corrected. @param endsAt - When what was charged leaves. */
  correct(name: string, difference: number, rollingMs: number, endsAt: EpochMs): void
  sweep(now: EpochMs): void
}

export interface SlotCount extends Count {
  /** The slot that was charged last, and when it leaves. */
  readonly newest: { readonly slot: number; readonly endsAt: EpochMs } | undefined
}

export function createSqliteSlots(sql: Sql): SqliteSlots {
  const read = sql.prepare(`SELECT last.slot, last.ends_at, total(used) AS used
    FROM (SELECT slot, ends_at FROM slots WHERE name = ?1 ORDER BY slot DESC LIMIT 1) AS last
    JOIN slots ON name = ?1 AND slots.ends_at > max(?2, last.ends_at - ?3)`)
  const all = sql.prepare('SELECT used, ends_at FROM slots WHERE name = ? AND ends_at > ? ORDER BY slot')
  const add = sql.prepare(`INSERT INTO slots VALUES (?, ?, ?, ?)
    ON CONFLICT (name, slot) DO UPDATE SET used = used + excluded.used, ends_at = excluded.ends_at`)
  const correct = sql.prepare(
    'UPDATE slots SET used = CASE WHEN used + ?1 < ?2 THEN 0 ELSE used + ?1 END WHERE name = ?3 AND slot = ?4',
  )
  const forget = sql.prepare('DELETE FROM slots WHERE name = ? AND ends_at <= ?')
  const sweep = sql.prepare('DELETE FROM slots WHERE ends_at <= ?')

  return {
    count(name, rollingMs, now) {
      const row = read.get(name, now, rollingMs)
      // A sum over nothing is a row of its own.
      if (!row || row.slot === null) return { used: 0, endsAt: undefined, newest: undefined }
      const newest = { slot: Number(row.slot), endsAt: Number(row.ends_at) }
      const used = withoutDust(Number(row.used))
      const endsAt = isDatedAnew(newest.endsAt, rollingMs, now) ? now + rollingMs : newest.endsAt
      return { used, endsAt: used === 0 ? undefined : endsAt, newest }
    },
    charge(name, amount, rollingMs, { newest, used }, now) {
      const endsAt = chargeEndsAt(newest?.endsAt, rollingMs, now)
      const slot = slotAt(endsAt - rollingMs, rollingMs)
      const anew = newest !== undefined && isDatedAnew(newest.endsAt, rollingMs, now)
      if (anew) forget.run(name, Number.MAX_VALUE)
      else if (newest && newest.slot !== slot) forget.run(name, endsAt - rollingMs)
      add.run(name, slot, anew ? used + amount : amount, endsAt)
      return endsAt
    },
    fitsAt(name, excess, rollingMs, { newest }, now) {
      const never = now + rollingMs
      if (!newest || isDatedAnew(newest.endsAt, rollingMs, now)) return never
      const rows = all.all(name, Math.max(now, newest.endsAt - rollingMs))
      const charges = rows.map(({ used, ends_at }) => ({ used: Number(used), endsAt: Number(ends_at) }))
      return fitsWhen(charges, excess) ?? never
    },
    correct: (name, difference, rollingMs, endsAt) =>
      correct.run(difference, DUST, name, slotAt(endsAt - rollingMs, rollingMs)),
    sweep: now => sweep.run(now),
  }
}

function withoutDust(used: number): number {
  return used < DUST ? 0 : used
}
