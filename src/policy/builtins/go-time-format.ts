/** Go time format: an instant as text in a layout, as Go's `Time.Format` writes it. */
import { type Civil, civilAt, dayOfYear, type Instant, weekdayOf, type Zone } from './go-calendar.ts'
import { type Element, MONTHS, type Piece, piecesOf, WEEKDAYS } from './go-layout.ts'

export function formatTime(instant: Instant, zone: Zone, layout: string): string {
  const civil = civilAt(instant, zone)
  const offset = zone.offsetAt(instant.seconds)
  const name = () => zone.nameAt(instant.seconds)
  return piecesOf(layout)
    .map(piece => piece.literal + (piece.element === undefined ? '' : part(piece, civil, offset, name)))
    .join('')
}

function part(piece: Piece, civil: Civil, offset: number, name: () => string): string {
  const element = piece.element as Element
  if (element === 'fraction') return fraction(piece, civil.nanos)
  if (element === 'MST') return name()
  if (element[0] === 'Z' || element[0] === '-') return zoneOffset(element, offset)
  return datePart(element, civil) ?? clockPart(element, civil)
}

function datePart(element: Element, civil: Civil): string | undefined {
  const { year, month, day } = civil
  switch (element) {
    case 'January':
      return MONTHS[month - 1]
    case 'Jan':
      return MONTHS[month - 1]?.slice(0, 3)
    case '1':
      return String(month)
    case '01':
      return pad(month, 2)
    case 'Monday':
      return WEEKDAYS[weekdayOf(civil)]
    case 'Mon':
      return WEEKDAYS[weekdayOf(civil)]?.slice(0, 3)
    case '2':
      return String(day)
    case '_2':
      return pad(day, 2, ' ')
    case '02':
      return pad(day, 2)
    case '__2':
      return pad(dayOfYear(civil), 3, ' ')
    case '002':
      return pad(dayOfYear(civil), 3)
    case '2006':
      return year < 0 ? `-${pad(-year, 4)}` : pad(year, 4)
    case '06':
      return pad(Math.max(year, 0) % 100, 2)
    default:
      return undefined
  }
}

function clockPart(element: Element, { hour, minute, second }: Civil): string {
  const hour12 = hour % 12 === 0 ? 12 : hour % 12
  switch (element) {
    case '15':
      return pad(hour, 2)
    case '3':
      return String(hour12)
    case '03':
      return pad(hour12, 2)
    case '4':
      return String(minute)
    case '04':
      return pad(minute, 2)
    case '5':
      return String(second)
    case '05':
      return pad(second, 2)
    case 'PM':
      return hour >= 12 ? 'PM' : 'AM'
    default:
      return hour >= 12 ? 'pm' : 'am'
  }
}

function zoneOffset(element: string, offset: number): string {
  if (offset === 0 && element[0] === 'Z') return 'Z'
  const away = Math.abs(offset)
  const parts = [pad(Math.floor(away / 3600), 2)]
  if (element.length > 3) parts.push(pad(Math.floor(away / 60) % 60, 2))
  if (element.length > 6) parts.push(pad(away % 60, 2))
  return (offset < 0 ? '-' : '+') + parts.join(element.includes(':') ? ':' : '')
}

/** Never more than nanoseconds, however long the layout. */
function fraction({ digits, trim, separator }: Piece, nanos: number): string {
  const shown = pad(nanos, 9).slice(0, digits)
  if (!trim) return separator + shown
  const significant = shown.replace(/0+$/, '')
  return significant === '' ? '' : separator + significant
}

function pad(value: number, width: number, fill = '0'): string {
  return String(value).padStart(width, fill)
}
