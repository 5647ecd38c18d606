/**
 * What goes upstream, and what comes back: header lists, computed here and nowhere else.
 */
import type { Rewrite } from '../contract/decision.schema.ts'
import { CREDENTIAL_HEADERS, HOP_BY_HOP_HEADERS } from '../contract/request.ts'
import type { Pool } from './pools.ts'
import type { Target } from './target.ts'

/** Besides `openai-*` and the pool's `forwardHeaders`. `content-length` is that of the bytes sent. */
const FORWARDED: ReadonlySet<string> = new Set(['accept', 'content-type', 'user-agent'])

export interface UpstreamHeaderFacts {
  readonly headers: ReadonlyMap<string, string>
  readonly requestId: string
  /** Undefined where there is no body. */
  readonly bodyLength: number | undefined
  readonly rewrite: Rewrite['headers']
  /** Undefined: none goes on. */
  readonly trace: UpstreamTrace | undefined
}

/** `traceparent` and `tracestate` of one call. */
export interface UpstreamTrace {
  readonly parent: string
  readonly state: string | undefined
}

/** An allow-list of the caller's headers, the policy's changes, then the target's own. Never a credential of the caller's. */
export function upstreamHeaders(
  facts: UpstreamHeaderFacts,
  pool: Pool,
  target: Target,
): Record<string, string> {
  const named = connectionNamed(facts.headers)
  const sent: Record<string, string> = {}
  for (const [name, value] of facts.headers) {
    const allowed = FORWARDED.has(name) || name.startsWith('openai-') || pool.forwardHeaders.has(name)
    if (allowed && !isForbidden(name) && !named.has(name)) sent[name] = value
  }
  if (facts.bodyLength && !JSON_TYPE.test(sent['content-type'] ?? ''))
    sent['content-type'] = 'application/json'
  sent['x-request-id'] = facts.requestId
  if (facts.trace) {
    sent.traceparent = facts.trace.parent
    if (facts.trace.state !== undefined) sent.tracestate = facts.trace.state
  }
  for (const name of facts.rewrite?.remove ?? []) delete sent[name.toLowerCase()]
  for (const [written, value] of Object.entries(facts.rewrite?.set ?? {})) {
    const name = written.toLowerCase()
    if (!isForbidden(name)) sent[name] = value
  }
  Object.assign(sent, target.headers)
  sent.host = target.url.host
  if (facts.bodyLength !== undefined) sent['content-length'] = String(facts.bodyLength)
  return sent
}

/** The policy read the body as JSON in UTF-8; a name for it that makes a server read it otherwise is not sent on. */
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)?json *(?:; *charset="?utf-8"? *)?$/i

function isForbidden(name: string): boolean {
  return (
    CREDENTIAL_HEADERS.has(name) ||
    HOP_BY_HOP_HEADERS.has(name) ||
    name === 'expect' ||
    name === 'host' ||
    name === 'content-length'
  )
}

/** `Connection` can name further headers that belong to this hop alone. */
function connectionNamed(headers: ReadonlyMap<string, string>): ReadonlySet<string> {
  const value = headers.get('connection')
  return value === undefined ? NONE : new Set(value.split(',').map(name => name.trim().toLowerCase()))
}

const NONE: ReadonlySet<string> = new Set()

/** What tells a caller about the server behind the gateway, or is for the gateway alone. */
const HIDDEN_ANSWER_HEADERS = new Set([
  'server',
  'x-powered-by',
  'via',
  'set-cookie',
  'alt-svc',
  'x-request-id',
  'x-decision-id',
  'date',
  'strict-transport-security',
])

/**
 * @param raw - Names and values in turn, as Node gives them.
 * @param server - Whose answer it is.
 * @returns The same form.
 */
export function answerHeaders(raw: readonly string[], server: URL): string[] {
  const kept: string[] = []
  const named = new Set<string>()
  for (let index = 0; index < raw.length; index += 2) {
    if ((raw[index] as string).toLowerCase() !== 'connection') continue
    for (const name of (raw[index + 1] as string).split(',')) named.add(name.trim().toLowerCase())
  }
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    if (HOP_BY_HOP_HEADERS.has(name) || HIDDEN_ANSWER_HEADERS.has(name) || named.has(name)) continue
    // The limits that are in force for the caller are ours.
    if (name.startsWith('ratelimit') || name.startsWith('x-ratelimit-')) continue
    const value = raw[index + 1] as string
    kept.push(name, LOCATIONS.has(name) ? seenFromHere(value, server) : value)
  }
  return kept
}

const LOCATIONS = new Set(['location', 'content-location'])

/** What a server says of a place of its own is a place of ours: where it is, is nobody's business. */
function seenFromHere(location: string, server: URL): string {
  const place = URL.canParse(location) ? new URL(location) : undefined
  if (place?.origin !== server.origin) return location
  const root = server.pathname.replace(/\/+$/, '')
  const path = place.pathname.startsWith(`${root}/`) ? place.pathname.slice(root.length) : place.pathname
  return path + place.search
}
