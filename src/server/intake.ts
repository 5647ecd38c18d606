/**
 * Intake: the head of a request → facts, in one form only.
 *
 * Whatever two readers could understand differently is refused here: the path that the policy
 * saw is the path that is sent.
 */
import { normaliseAddress } from '../contract/addresses.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Operation } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'
import { type ConnectionHead, presentedCertificate } from './certificates.ts'
import { clientAddress, createTrustedProxies, type TrustedProxies } from './forwarded.ts'

const REFUSED_METHODS = new Set(['CONNECT', 'TRACE'])

/** Names of which a second line would let two readers pick two values. */
const SINGLE_HEADERS = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'x-api-key',
  'api-key',
  'transfer-encoding',
])

/** What is read of a request; an `IncomingMessage` has it. */
export interface RequestHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** Undefined for a request that came over no socket. */
  readonly httpVersion?: string | undefined
  readonly rawHeaders: readonly string[]
  readonly socket: ConnectionHead
}

const NO_PROXIES = createTrustedProxies([])

/** @throws GatewayError `invalid_request` */
export function intake(request: RequestHead, proxies: TrustedProxies = NO_PROXIES): RequestFacts {
  const method = request.method ?? ''
  if (REFUSED_METHODS.has(method)) throw malformed(`the method ${method} is refused`)
  const headers = collectHeaders(request.rawHeaders)
  judgeFraming(request.httpVersion, headers)
  if (headers.has('upgrade')) throw malformed('upgrades are refused', 'Upgrades are refused')
  const expectation = headers.get('expect')
  if (expectation !== undefined && expectation.toLowerCase() !== '100-continue') {
    throw malformed('an expectation that is not known', 'The expectation is not known')
  }
  const encoding = headers.get('content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw malformed('the body is compressed', 'Compressed bodies are not accepted')
  }
  const { path, search, segments } = normaliseTarget(request.url ?? '')
  const peer = normaliseAddress(request.socket.remoteAddress ?? '')
  return {
    method,
    path,
    search,
    segments,
    operation: operationOf(path),
    headers,
    clientIp: clientAddress(peer, headers, proxies),
    tls: 'encrypted' in request.socket,
    certificate: presentedCertificate(request.socket, headers, proxies.has(peer)),
  }
}

const HOST = /^[A-Za-z0-9._~!$&'()*+,;=%:[\]-]*$/

/** What Node's parser lets through, and others on the way would read as another request. */
function judgeFraming(version: string | undefined, headers: ReadonlyMap<string, string>): void {
  const coding = headers.get('transfer-encoding')
  if (coding !== undefined && (coding.toLowerCase() !== 'chunked' || version === '1.0'))
    throw malformed('a transfer coding that is not just chunked', 'The transfer coding is not accepted')
  const host = headers.get('host')
  if (host !== undefined && !HOST.test(host)) throw malformed('the host is no name and no address')
  if (version === undefined || version === '1.0') return
  if (version !== '1.1') throw malformed(`the version HTTP/${version}`, 'The version of HTTP is not accepted')
  if (host === undefined) throw malformed('there is no host', 'The header host is missing')
}

/** A request that was not made: what a caller wonders about, in the circumstances of the one that asks. */
export function imaginedFacts(
  asking: RequestFacts,
  imagined: { method: string; target: string; headers: Readonly<Record<string, string>> },
): RequestFacts {
  const { path, search, segments } = normaliseTarget(imagined.target)
  return {
    ...asking,
    method: imagined.method,
    path,
    search,
    segments,
    operation: operationOf(path),
    headers: collectHeaders(Object.entries(imagined.headers).flat()),
  }
}

function collectHeaders(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    const value = raw[index + 1] as string
    const earlier = headers.get(name)
    if (earlier !== undefined && SINGLE_HEADERS.has(name))
      throw malformed(`${name} is given twice`, `The header ${name} is given twice`)
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return headers
}

interface NormalisedTarget {
  readonly path: string
  readonly search: string
  readonly segments: readonly string[]
}

/** Printable ASCII but for what no URL holds; a `#` never belongs on the wire. */
const TARGET = /^\/[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e%]*$/
/** A slash, a backslash, a dot segment or a control character behind percent signs. */
const HIDDEN = /%(2f|5c|0[0-9a-f]|1[0-9a-f]|7f)/i
/** RFC 6750's parameter, those of other APIs, and keys of our own under any name. */
const CREDENTIAL_IN_QUERY = /[?&](?:access_token|api_?key)=|slp_[0-9A-Za-z]{10}_/i
/** Some servers cut off what is behind a semicolon before they look for a way up. */
const DOTS = /^\.\.?(;|$)/
const UNRESERVED = /[A-Za-z0-9._~-]/

/** Remembered: callers use few paths, many times. */
const targets = new Map<string, NormalisedTarget>()
const MOST_TARGETS = 512

/**
 * Path normalisation of RFC 3986 §6.2.2: escapes of unreserved characters are undone, the rest
 * are written in capitals. What could be read in two ways is refused.
 */
export function normaliseTarget(target: string): NormalisedTarget {
  const known = targets.get(target)
  if (known) return known
  if (!TARGET.test(target)) throw malformed('the request target is not an absolute path of plain characters')
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const search = mark < 0 ? '' : target.slice(mark)
  if (!wellEscaped(raw) || !wellEscaped(search)) throw malformed('a percent sign without two hex digits')
  if (HIDDEN.test(raw.startsWith('/v1/models/') ? raw.replace(/%2f/gi, '') : raw)) {
    throw malformed('the path hides a separator or a control character')
  }
  // Taken by nobody here, and it would stand in records and logs from here to the model server.
  if (CREDENTIAL_IN_QUERY.test(search))
    throw malformed('a credential in the query', 'A credential does not belong into the query')
  // A query that is not UTF-8 would show the policy the same sign for every byte it could have been.
  if (search.includes('%') && !isEscapedUtf8(search)) throw malformed('the query is not UTF-8')
  const path = raw.replace(/%[0-9a-f]{2}/gi, escaped => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    return UNRESERVED.test(character) ? character : escaped.toUpperCase()
  })
  const parts = path.slice(1).split('/')
  if (parts.some((part, index) => DOTS.test(part) || (part === '' && index < parts.length - 1))) {
    throw malformed('the path has dot segments or empty segments')
  }
  const segments = decodeSegments(parts)
  // The name of a model may hold a slash (`org/model`), which clients escape; a way up may not hide there.
  if (segments.some(segment => segment.split('/').some(part => DOTS.test(part)))) {
    throw malformed('the path hides dot segments')
  }
  const normal = { path, search, segments }
  if (target.length <= 256) {
    if (targets.size >= MOST_TARGETS) targets.clear()
    targets.set(target, normal)
  }
  return normal
}

function wellEscaped(text: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(text)
}

function isEscapedUtf8(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function decodeSegments(parts: readonly string[]): string[] {
  try {
    return parts.filter(part => part !== '').map(decodeURIComponent)
  } catch {
    throw malformed('the path is not UTF-8')
  }
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  '/v1/chat/completions': 'chat',
  '/chat/completions': 'chat',
  '/api/chat': 'chat',
  '/v1/completions': 'completion',
  '/completions': 'completion',
  '/completion': 'completion',
  '/infill': 'completion',
  '/api/generate': 'completion',
  '/v1/embeddings': 'embedding',
  '/embeddings': 'embedding',
  '/embedding': 'embedding',
  '/api/embed': 'embedding',
  '/api/embeddings': 'embedding',
  '/v1/models': 'models',
  '/models': 'models',
  '/api/tags': 'models',
}

function operationOf(path: string): Operation {
  const known = Object.hasOwn(OPERATIONS, path) ? OPERATIONS[path] : undefined
  if (known) return known
  return path.startsWith('/v1/models/') ? 'models' : 'other'
}

function malformed(message: string, title = 'The request is malformed'): GatewayError {
  return new GatewayError('invalid_request', message, { title })
}
