/** JSON schema formats: what `format` can ask of a text. One that is not known asks nothing. */
import { parseAddress } from './addresses.ts'
import { BuiltinError } from './builtin.ts'
import { parseTime } from './go-time-parse.ts'
import { parseUrl, type Url } from './go-url.ts'
import { searchPattern } from './regex.ts'

export function hasFormat(format: string, text: string): boolean {
  return FORMATS[format]?.(text) ?? true
}

const TIMES = ['15:04:05', '15:04:05Z07:00']
const DATE = '2006-01-02'
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])'
const HOSTNAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
const UUID = /^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i
const POINTER = /^(?:\/(?:[^~/]|~0|~1)*)*$/
const RELATIVE_POINTER = /^(?:0|[1-9][0-9]*)(?:#|(?:\/(?:[^~/]|~0|~1)*)*)$/
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\uffff-]+"
const ADDRESS = `(?:${ATOM}(?:\\.${ATOM})*|"(?:[^"\\\\]|\\\\.)*")@(?:${ATOM}(?:\\.${ATOM})*|\\[[^\\]]*\\])`
/** RFC 5322, with a name before the address in angle brackets or without. */
const EMAIL = new RegExp(`^\\s*(?:${ADDRESS}|(?:[^<>@",;:]*|"[^"]*")\\s*<${ADDRESS}>)\\s*$`)

const email = (text: string) => EMAIL.test(text)
const uri = (text: string) => withUrl(text, ({ scheme }) => scheme !== '')
const uriReference = (text: string) => withUrl(text, () => true)

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: text => isTime(text, [DATE]),
  time: text => isTime(text, TIMES),
  'date-time': text => isTime(text, [...TIMES, DATE, `${DATE}T15:04:05Z07:00`]),
  hostname: text => HOSTNAME.test(text) && text.length < 256,
  email,
  'idn-email': email,
  ipv4: text => parseAddress(text) !== undefined && text.includes('.'),
  ipv6: text => parseAddress(text) !== undefined && text.includes(':'),
  uri,
  'uri-reference': uriReference,
  iri: uri,
  'iri-reference': uriReference,
  'uri-template': text => withUrl(text, ({ path }) => /^(?:[^{]|\{[^}]*\})*$/.test(path)),
  uuid: text => UUID.test(text),
  regex: text => succeeds(() => searchPattern(text)),
  'json-pointer': text => POINTER.test(text),
  'relative-json-pointer': text => RELATIVE_POINTER.test(text),
}

function isTime(text: string, layouts: readonly string[]): boolean {
  return layouts.some(layout => succeeds(() => parseTime(layout, text)))
}

function withUrl(text: string, holds: (url: Url) => boolean): boolean {
  return !text.includes('\\') && succeeds(() => parseUrl(text)) && holds(parseUrl(text))
}

function succeeds(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (cause) {
    if (cause instanceof BuiltinError) return false
    throw cause
  }
}
