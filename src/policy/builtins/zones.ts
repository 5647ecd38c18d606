/**
 * Zones: IANA time zones by name, with offsets from the runtime's own data (Intl).
 *
 * Asking Intl costs microseconds, and a policy asks about the same hour again and again: the offset of an
 * hour that begins and ends alike is remembered.
 */
import { BuiltinError } from './builtin.ts'
import { UTC, type Zone } from './go-calendar.ts'
import { isZoneName, zoneAbbreviation } from './zone-names.ts'

const HOUR = 3600
const known = new Map<string, Zone>()

/**
 * @param name - An IANA name in its own spelling. `Local` is UTC: a decision does not depend on its machine.
 * @throws BuiltinError when there is no such zone
 */
export function zoneNamed(name: string): Zone {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC
  let zone = known.get(name)
  if (!zone) {
    zone = createZone(name)
    known.set(name, zone)
  }
  return zone
}

function createZone(name: string): Zone {
  const clock = clockOf(name)
  let hour = Number.NaN
  let hourOffset = 0

  function offsetAt(seconds: number): number {
    const from = Math.floor(seconds / HOUR) * HOUR
    if (from === hour) return hourOffset
    const offset = offsetShown(clock, from)
    if (offset !== offsetShown(clock, from + HOUR)) return offsetShown(clock, seconds)
    hour = from
    hourOffset = offset
    return offset
  }

  return { offsetAt, nameAt: seconds => zoneAbbreviation(name, offsetAt(seconds)) }
}

function clockOf(name: string): Intl.DateTimeFormat {
  if (!isZoneName(name)) throw unknown(name)
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch (cause) {
    throw unknown(name, cause)
  }
}

function unknown(name: string, cause?: unknown): BuiltinError {
  return new BuiltinError(`unknown time zone ${name}`, { cause })
}

/** Seconds east of UTC, read off what a clock there shows. */
function offsetShown(clock: Intl.DateTimeFormat, seconds: number): number {
  const shown: Record<string, string> = {}
  for (const { type, value } of clock.formatToParts(seconds * 1000)) shown[type] = value
  const year = shown.era === 'B' || shown.era === 'BC' ? 1 - Number(shown.year) : Number(shown.year)
  const local = new Date(0)
  local.setUTCFullYear(year, Number(shown.month) - 1, Number(shown.day))
  local.setUTCHours(Number(shown.hour), Number(shown.minute), Number(shown.second))
  return local.getTime() / 1000 - seconds
}
