/**
 * Go layout: a layout such as `Mon Jan _2 15:04:05 2006`, taken apart as Go's `time` package does.
 *
 * Each element is what the reference time, Monday January 2 15:04:05 MST 2006, would show there; all else
 * is literal.
 */

export type Element =
  | 'January'
  | 'Jan'
  | '1'
  | '01'
  | 'Monday'
  | 'Mon'
  | '2'
  | '_2'
  | '02'
  | '__2'
  | '002'
  | '15'
  | '3'
  | '03'
  | '4'
  | '04'
  | '5'
  | '05'
  | '2006'
  | '06'
  | 'PM'
  | 'pm'
  | 'MST'
  | 'Z0700'
  | 'Z070000'
  | 'Z07'
  | 'Z07:00'
  | 'Z07:00:00'
  | '-0700'
  | '-070000'
  | '-07'
  | '-07:00'
  | '-07:00:00'
  | 'fraction'

export interface Piece {
  /** Literal text before the element. */
  literal: string
  /** Undefined in the last piece. */
  element: Element | undefined
  /** Of a fraction: its digits, and whether trailing zeros are dropped (`.999`) or kept (`.000`). */
  digits: number
  trim: boolean
  /** `.` or `,` */
  separator: string
}

// In the order in which Go tries them. A name of three letters is none when lower case follows ("Month").
const ELEMENT =
  /(January)|(Jan)(?![a-z])|(Monday)|(Mon)(?![a-z])|(MST)|0[1-6]|002|15|1|2006|2|_2006|__2|_2|3|4|5|PM|pm|-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07|[.,](?:0+|9+)(?!\d)/g

const cache = new Map<string, Piece[]>()
const CACHE_SIZE = 256

/** @returns the pieces; the last has the literal text that ends the layout. */
export function piecesOf(layout: string): Piece[] {
  const cached = cache.get(layout)
  if (cached) return cached
  const pieces = split(layout)
  if (cache.size >= CACHE_SIZE) cache.clear()
  cache.set(layout, pieces)
  return pieces
}

function split(layout: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const { 0: found, index } of layout.matchAll(ELEMENT)) {
    // "_2006" is an underscore and the year.
    const text = found === '_2006' ? '2006' : found
    const start = index + found.length - text.length
    pieces.push({ literal: layout.slice(end, start), ...elementOf(text) })
    end = index + found.length
  }
  pieces.push({ literal: layout.slice(end), element: undefined, digits: 0, trim: false, separator: '' })
  return pieces
}

function elementOf(text: string): Omit<Piece, 'literal'> {
  const separator = text[0] as string
  if (separator === '.' || separator === ',') {
    return { element: 'fraction', digits: text.length - 1, trim: text[1] === '9', separator }
  }
  return { element: text as Element, digits: 0, trim: false, separator: '' }
}

export const MONTHS =
  'January February March April May June July August September October November December'.split(' ')
export const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')

/** The names that `time.format` and `time.parse_ns` take for Go's own layouts. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ['ANSIC', 'Mon Jan _2 15:04:05 2006'],
  ['UnixDate', 'Mon Jan _2 15:04:05 MST 2006'],
  ['RubyDate', 'Mon Jan 02 15:04:05 -0700 2006'],
  ['RFC822', '02 Jan 06 15:04 MST'],
  ['RFC822Z', '02 Jan 06 15:04 -0700'],
  ['RFC850', 'Monday, 02-Jan-06 15:04:05 MST'],
  ['RFC1123', 'Mon, 02 Jan 2006 15:04:05 MST'],
  ['RFC1123Z', 'Mon, 02 Jan 2006 15:04:05 -0700'],
  ['RFC3339', '2006-01-02T15:04:05Z07:00'],
  ['RFC3339Nano', '2006-01-02T15:04:05.999999999Z07:00'],
])
