/** time.*: the clock of the decision, dates, and Go's layouts. */
import { RegoNumber, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, integer, number, smallInteger, string, typeError } from './builtin.ts'
import {
  civilAt,
  daysIn,
  fromNanos,
  fromNanosText,
  type Instant,
  instantOf,
  toNanos,
  UTC,
  weekdayOf,
  type Zone,
} from './go-calendar.ts'
import { parseDuration } from './go-duration.ts'
import { NAMED_LAYOUTS, WEEKDAYS } from './go-layout.ts'
import { formatTime } from './go-time-format.ts'
import { parseTime } from './go-time-parse.ts'
import { zoneNamed } from './zones.ts'

export const time: Builtins = {
  'time.now_ns': (_, { nowNs }) => RegoNumber.of(nowNs),
  'time.parse_ns': operands => nanos(parseTime(layoutNamed(string(operands, 0)), string(operands, 1))),
  'time.parse_rfc3339_ns': operands => nanos(parseTime(layoutNamed('RFC3339'), string(operands, 0))),
  'time.parse_duration_ns': operands => RegoNumber.of(parseDuration(string(operands, 0))),
  'time.format': operands => {
    const { instant, zone, layout } = momentOf(operands, 0)
    return formatTime(instant, zone, layoutNamed(layout || 'RFC3339Nano'))
  },
  'time.date': operands => {
    const { year, month, day } = civilOf(operands, 0)
    return [year, month, day].map(RegoNumber.of)
  },
  'time.clock': operands => {
    const { hour, minute, second } = civilOf(operands, 0)
    return [hour, minute, second].map(RegoNumber.of)
  },
  'time.weekday': operands => WEEKDAYS[weekdayOf(civilOf(operands, 0))],
  'time.add_date': operands => {
    const { instant, zone } = momentOf(operands, 0)
    const civil = civilAt(instant, zone)
    const [years, months, days] = [1, 2, 3].map(i => smallInteger(operands, i)) as [number, number, number]
    const moved = { ...civil, year: civil.year + years, month: civil.month + months, day: civil.day + days }
    return nanos(instantOf(moved, zone))
  },
  'time.diff': operands => difference(momentOf(operands, 0), momentOf(operands, 1)).map(RegoNumber.of),
}

interface Moment {
  instant: Instant
  zone: Zone
  layout: string
}

function layoutNamed(layout: string): string {
  return NAMED_LAYOUTS.get(layout) ?? layout
}

function nanos(instant: Instant): Value {
  if (!Number.isSafeInteger(instant.seconds)) throw new BuiltinError('time outside of valid range')
  return RegoNumber.of(toNanos(instant))
}

function civilOf(operands: readonly Value[], position: number) {
  const { instant, zone } = momentOf(operands, position)
  return civilAt(instant, zone)
}

/** An operand that is nanoseconds, or `[nanoseconds, zone?, layout?]`. */
function momentOf(operands: readonly Value[], position: number): Moment {
  const value = operands[position] as Value
  if (value instanceof RegoNumber) return { instant: instantAt(operands, position), zone: UTC, layout: '' }
  if (!Array.isArray(value) || value.length === 0) {
    throw typeError(position, 'either number (ns) or [number (ns), string (tz)]', value)
  }
  const zone = value.length > 1 ? zoneNamed(string(value, 1)) : UTC
  return { instant: instantAt(value, 0), zone, layout: value.length > 2 ? string(value, 2) : '' }
}

function instantAt(operands: readonly Value[], position: number): Instant {
  const plain = fromNanosText(number(operands, position).text)
  if (plain) return plain
  const ns = integer(operands, position)
  if (BigInt.asIntN(64, ns) !== ns) throw new BuiltinError('timestamp too big')
  return fromNanos(ns)
}

/** Years, months, days, hours, minutes and seconds between two moments, on the first one's clock. */
function difference(a: Moment, b: Moment): number[] {
  const swap =
    a.instant.seconds > b.instant.seconds ||
    (a.instant.seconds === b.instant.seconds && a.instant.nanos > b.instant.nanos)
  const from = civilAt((swap ? b : a).instant, a.zone)
  const to = civilAt((swap ? a : b).instant, a.zone)
  const parts = [
    to.year - from.year,
    to.month - from.month,
    to.day - from.day,
    to.hour - from.hour,
    to.minute - from.minute,
    to.second - from.second,
  ]
  // What is short borrows from the next larger unit.
  const sizes = [Number.NaN, 12, daysIn(from.year, from.month), 24, 60, 60]
  for (let i = 5; i > 0; i--) {
    if ((parts[i] as number) < 0) {
      parts[i] = (parts[i] as number) + (sizes[i] as number)
      parts[i - 1] = (parts[i - 1] as number) - 1
    }
  }
  return parts
}
