/** Go time parse: an instant read from text in a layout, as Go's `time.Parse` reads it. */
import { BuiltinError } from './builtin.ts'
import { type Civil, daysIn, type Instant, instantOf, isLeap, UTC } from './go-calendar.ts'
import { MONTHS, type Piece, piecesOf, WEEKDAYS } from './go-layout.ts'

/** What has been read so far; undefined is "the text did not say". */
interface Found {
  year: number
  month?: number
  day?: number
  yearDay?: number
  hour: number
  minute: number
  second: number
  nanos: number
  afternoon?: boolean
  /** Seconds east of UTC. */
  offset: number
}

/** @throws BuiltinError when the text does not fit the layout, or names a day that is not. */
export function parseTime(layout: string, text: string): Instant {
  const found: Found = { year: 0, hour: 0, minute: 0, second: 0, nanos: 0, offset: 0 }
  const pieces = piecesOf(layout)
  let rest = text
  pieces.forEach((piece, i) => {
    rest = skip(rest, piece.literal)
    if (piece.element === undefined) {
      if (rest !== '') throw mismatch(text, layout)
      return
    }
    rest = take(rest, piece, found)
    const seconds = piece.element === '5' || piece.element === '05'
    // A fraction may follow the seconds though the layout has none.
    if (seconds && pieces[i + 1]?.element !== 'fraction') rest = anyFraction(rest, found)
  })
  return finish(found)

  function take(value: string, piece: Piece, into: Found): string {
    const left = read(value, piece, into)
    if (left === undefined) throw mismatch(text, layout)
    return left
  }

  /** Literal text; a run of spaces in the layout stands for a run of spaces, or for none at the end. */
  function skip(value: string, literal: string): string {
    let left = value
    let want = literal
    while (want !== '') {
      if (want[0] === ' ') {
        if (left !== '' && left[0] !== ' ') throw mismatch(text, layout)
        want = want.replace(/^ +/, '')
        left = left.replace(/^ +/, '')
      } else {
        if (left[0] !== want[0]) throw mismatch(text, layout)
        want = want.slice(1)
        left = left.slice(1)
      }
    }
    return left
  }
}

function mismatch(text: string, layout: string): BuiltinError {
  return new BuiltinError(`parsing time "${text}" as "${layout}": cannot parse`)
}

function outOfRange(part: string): BuiltinError {
  return new BuiltinError(`parsing time: ${part} out of range`)
}

/** @returns what is left of the text, or undefined when the element is not there. */
function read(value: string, piece: Piece, found: Found): string | undefined {
  const element = piece.element as string
  if (element === 'fraction') return readFraction(value, piece, found)
  if (element[0] === 'Z' || element[0] === '-') return readOffset(value, element, found)
  return readDate(value, element, found) ?? readClock(value, element, found)
}

function readDate(value: string, element: string, found: Found): string | undefined {
  switch (element) {
    case '06':
      return number(value, /^\d\d/, n => (found.year = n >= 69 ? 1900 + n : 2000 + n))
    case '2006':
      return number(value, /^\d{4}/, n => (found.year = n))
    case 'Jan':
      return name(
        value,
        MONTHS.map(month => month.slice(0, 3)),
        i => (found.month = i + 1),
      )
    case 'January':
      return name(value, MONTHS, i => (found.month = i + 1))
    case '1':
    case '01':
      return number(value, digits(element), n => (found.month = within('month', n, 1, 12)))
    case 'Mon':
      return name(
        value,
        WEEKDAYS.map(day => day.slice(0, 3)),
        () => {},
      )
    case 'Monday':
      return name(value, WEEKDAYS, () => {})
    case '2':
    case '_2':
    case '02':
      return number(element === '_2' ? value.replace(/^ /, '') : value, digits(element), n => (found.day = n))
    case '__2':
      return number(value.replace(/^ {1,2}/, ''), /^\d{1,3}/, n => (found.yearDay = n))
    case '002':
      return number(value, /^\d{3}/, n => (found.yearDay = n))
    default:
      return undefined
  }
}

function readClock(value: string, element: string, found: Found): string | undefined {
  switch (element) {
    case '15':
      return number(value, /^\d\d?/, n => (found.hour = within('hour', n, 0, 23)))
    case '3':
    case '03':
      return number(value, digits(element), n => (found.hour = within('hour', n, 0, 12)))
    case '4':
    case '04':
      return number(value, digits(element), n => (found.minute = within('minute', n, 0, 59)))
    case '5':
    case '05':
      return number(value, digits(element), n => (found.second = within('second', n, 0, 59)))
    case 'PM':
    case 'pm': {
      const half = value.slice(0, 2)
      const names = element === 'PM' ? ['AM', 'PM'] : ['am', 'pm']
      if (!names.includes(half)) return undefined
      found.afternoon = half === names[1]
      return value.slice(2)
    }
    case 'MST':
      return readZoneName(value)
    default:
      return undefined
  }
}

/** A leading zero in the element means that there must be two digits. */
function digits(element: string): RegExp {
  return element[0] === '0' ? /^\d\d/ : /^\d\d?/
}

function number(value: string, pattern: RegExp, keep: (n: number) => void): string | undefined {
  const match = pattern.exec(value)
  if (!match) return undefined
  keep(Number(match[0]))
  return value.slice(match[0].length)
}

function name(value: string, names: readonly string[], keep: (index: number) => void): string | undefined {
  const index = names.findIndex(name => value.slice(0, name.length).toLowerCase() === name.toLowerCase())
  if (index < 0) return undefined
  keep(index)
  return value.slice((names[index] as string).length)
}

function within(part: string, n: number, min: number, max: number): number {
  if (n < min || n > max) throw outOfRange(part)
  return n
}

function readFraction(value: string, { digits: count, trim }: Piece, found: Found): string | undefined {
  if (trim) return anyFraction(value, found)
  const match = new RegExp(`^[.,](\\d{${count}})`).exec(value)
  if (!match) return undefined
  found.nanos = nanosOf(match[1] as string)
  return value.slice(match[0].length)
}

function anyFraction(value: string, found: Found): string {
  const match = /^[.,](\d+)/.exec(value)
  if (!match) return value
  found.nanos = nanosOf(match[1] as string)
  return value.slice(match[0].length)
}

function nanosOf(fraction: string): number {
  return Number(fraction.slice(0, 9).padEnd(9, '0'))
}

const OFFSETS: Record<string, RegExp> = {
  '07': /^([+-])(\d\d)()()/,
  '0700': /^([+-])(\d\d)(\d\d)()/,
  '07:00': /^([+-])(\d\d):(\d\d)()/,
  '070000': /^([+-])(\d\d)(\d\d)(\d\d)/,
  '07:00:00': /^([+-])(\d\d):(\d\d):(\d\d)/,
}

function readOffset(value: string, element: string, found: Found): string | undefined {
  if (element[0] === 'Z' && value[0] === 'Z') return value.slice(1)
  const match = OFFSETS[element.slice(1)]?.exec(value)
  if (!match) return undefined
  const hours = within('time zone offset hour', Number(match[2]), 0, 24)
  const minutes = within('time zone offset minute', Number(match[3]), 0, 60)
  const seconds = within('time zone offset second', Number(match[4]), 0, 60)
  found.offset = (match[1] === '-' ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds)
  return value.slice(match[0].length)
}

// Go takes what it does not know for UTC, even GMT+3, and knows only the machine's zone; ours has none.
const ZONE_NAME =
  /^(?:UTC|ChST|MeST|GMT[+-]\d+|GMT|[+-]\d+|WITA|[A-Z]{4}T(?![A-Z])|[A-Z]{3}T(?![A-Z])|[A-Z]{3}(?![A-Z]))/

function readZoneName(value: string): string | undefined {
  const match = ZONE_NAME.exec(value)
  if (!match) return undefined
  const hours = /^(?:GMT)?([+-]\d+)$/.exec(match[0])
  if (hours && Math.abs(Number(hours[1])) > 23) return undefined
  return value.slice(match[0].length)
}

function finish(found: Found): Instant {
  if (found.afternoon === true && found.hour < 12) found.hour += 12
  if (found.afternoon === false && found.hour === 12) found.hour = 0
  const { month, day } = found.yearDay === undefined ? found : fromYearDay(found, found.yearDay)
  const civil: Civil = { ...found, month: month ?? 1, day: day ?? 1 }
  if (civil.day < 1 || civil.day > daysIn(civil.year, civil.month)) throw outOfRange('day')
  const { seconds, nanos } = instantOf(civil, UTC)
  return { seconds: seconds - found.offset, nanos }
}

function fromYearDay(found: Found, yearDay: number): { month: number; day: number } {
  if (yearDay < 1 || yearDay > (isLeap(found.year) ? 366 : 365)) throw outOfRange('day-of-year')
  let month = 1
  let day = yearDay
  for (; day > daysIn(found.year, month); month++) day -= daysIn(found.year, month)
  const contradicts = (found.month ?? month) !== month || (found.day ?? day) !== day
  if (contradicts) throw outOfRange('day-of-year does not match month and day;')
  return { month, day }
}
