/** Go URL: a URL in the parts that Go's `net/url` makes of it. */
import { RegoObject } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'

export interface Url {
  scheme: string
  /** What follows the scheme where no `//` does: `mailto:a@b`. */
  opaque: string
  hasUser: boolean
  host: string
  path: string
  /** The path as it was written. */
  rawPath: string
  query: string
  forceQuery: boolean
  fragment: string
  rawFragment: string
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s

/** @throws BuiltinError */
export function parseUrl(text: string): Url {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Go refuses them
  if (/[\x00-\x1f\x7f]/.test(text)) throw invalid(text)
  const hash = text.indexOf('#')
  const rawFragment = hash < 0 ? '' : text.slice(hash + 1)
  const body = hash < 0 ? text : text.slice(0, hash)
  const [, scheme = '', afterScheme = body] = SCHEME.exec(body) ?? []
  if (scheme === '' && body.startsWith(':')) throw invalid(text)
  const mark = afterScheme.indexOf('?')
  const query = mark < 0 ? '' : afterScheme.slice(mark + 1)
  const rest = mark < 0 ? afterScheme : afterScheme.slice(0, mark)
  const parts = {
    scheme: scheme.toLowerCase(),
    query,
    forceQuery: mark >= 0 && query === '' && afterScheme.endsWith('?'),
  }
  const fragments = { fragment: unescaped(rawFragment), rawFragment }
  if (scheme !== '' && !rest.startsWith('/')) {
    return { ...parts, ...fragments, opaque: rest, hasUser: false, host: '', path: '', rawPath: '' }
  }
  if (scheme === '' && /^[^/]*:/.test(rest)) throw invalid(text)
  const authority =
    rest.startsWith('//') && !rest.startsWith('///') ? /^\/\/([^/]*)/.exec(rest)?.[1] : undefined
  const rawPath = authority === undefined ? rest : rest.slice(authority.length + 2)
  const at = authority?.lastIndexOf('@') ?? -1
  const host = authority?.slice(at + 1) ?? ''
  if (/[ \\^`<>"]/.test(host)) throw invalid(text)
  return { ...parts, ...fragments, opaque: '', hasUser: at >= 0, host, path: unescaped(rawPath), rawPath }
}

/** The path as it is sent: as it was written if it could be sent so, else escaped anew. */
export function escapedPath({ path, rawPath }: Url): string {
  return /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@[\]/]|%[0-9A-Fa-f]{2})*$/.test(rawPath) ? rawPath : escapePath(path)
}

function escapePath(path: string): string {
  return encodeURIComponent(path)
    .replace(/%(?:24|26|2B|2C|2F|3A|3B|3D|40)/g, decodeURIComponent)
    .replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** As Go's `url.URL` is marshalled: the raw forms only where they say more. */
export function urlObject(url: Url): RegoObject {
  return RegoObject.of({
    Scheme: url.scheme,
    Opaque: url.opaque,
    User: url.hasUser ? new RegoObject() : null,
    Host: url.host,
    Path: url.path,
    RawPath: url.rawPath === escapePath(url.path) ? '' : url.rawPath,
    OmitHost: false,
    ForceQuery: url.forceQuery,
    RawQuery: url.query,
    Fragment: url.fragment,
    RawFragment: url.rawFragment === url.fragment ? '' : url.rawFragment,
  })
}

function unescaped(text: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalid(text)
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
}

function invalid(text: string): BuiltinError {
  return new BuiltinError(`parse ${JSON.stringify(text)}: invalid URL`)
}
