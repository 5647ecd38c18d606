/**
 * Calendar windows: when the hour, day, week or month that holds an instant began and ends, on the
 * clock of one zone.
 */
import type { EpochMs } from '../contract/units.ts'

export const CALENDAR_WINDOWS = ['calendar_hour', 'calendar_day', 'calendar_week', 'calendar_month'] as const
export type CalendarWindow = (typeof CALENDAR_WINDOWS)[number]

/** `[from, until)` */
export interface Interval {
  readonly from: EpochMs
  readonly until: EpochMs
}

/** The interval that was asked for last, by window and zone: it holds for many requests. */
const latest = new Map<string, Interval>()
const formats = new Map<string, Intl.DateTimeFormat>()

/**
 * @param at - The instant, in milliseconds since the epoch.
 * @param window - A week begins on Monday (ISO 8601).
 * @param zone - An IANA time zone, such as `Europe/Oslo`; the decision schema refuses others.
 * @returns A day is 23 or 25 hours long when clocks change.
 */
export function calendarWindow(at: EpochMs, window: CalendarWindow, zone: string): Interval {
  const key = `${window} ${zone}`
  const known = latest.get(key)
  if (known && at >= known.from && at < known.until) return known
  const interval = window === 'calendar_hour' ? hourOf(at, zone) : daysOf(at, window, zone)
  latest.set(key, interval)
  return interval
}

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

function hourOf(at: EpochMs, zone: string): Interval {
  const offset = offsetAt(at, zone)
  const from = Math.floor((at + offset) / HOUR_MS) * HOUR_MS - offset
  return { from, until: from + HOUR_MS }
}

function daysOf(at: EpochMs, window: Exclude<CalendarWindow, 'calendar_hour'>, zone: string): Interval {
  const local = new Date(at + offsetAt(at, zone))
  const year = local.getUTCFullYear()
  const month = local.getUTCMonth()
  const day = local.getUTCDate()
  const monday = day - ((local.getUTCDay() + 6) % 7)
  switch (window) {
    case 'calendar_day':
      return between(year, month, day, year, month, day + 1)
    case 'calendar_week':
      return between(year, month, monday, year, month, monday + 7)
    case 'calendar_month':
      return between(year, month, 1, year, month + 1, 1)
  }

  function between(y1: number, m1: number, d1: number, y2: number, m2: number, d2: number): Interval {
    return { from: midnight(Date.UTC(y1, m1, d1), zone), until: midnight(Date.UTC(y2, m2, d2), zone) }
  }
}

/**
 * The instant at which a day begins: the earlier of two midnights where clocks go back over it, and
 * the moment of the change where they skip it.
 *
 * @param local - Midnight as if it were in UTC.
 */
function midnight(local: EpochMs, zone: string): EpochMs {
  const before = offsetAt(local - DAY_MS, zone)
  const after = offsetAt(local + DAY_MS, zone)
  const candidates = [local - before, local - after].filter(at => at + offsetAt(at, zone) === local)
  return candidates.length > 0 ? Math.min(...candidates) : local - before
}

/** How far the clocks of a zone are ahead of UTC at an instant, ms. */
function offsetAt(at: EpochMs, zone: string): number {
  let format = formats.get(zone)
  if (!format) {
    const numeric = 'numeric' as const
    const parts = {
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
    }
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', era: 'short', ...parts })
    formats.set(zone, format)
  }
  const read: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(at)) read[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = read
  const whole = Math.floor(at / 1000) * 1000
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole
}
