/**
 * Describe: facts, principal and pools → `input`, the document that the policy sees.
 *
 * Written as text, once: the engine takes text, the body goes in with the bytes it came in (so its
 * numbers keep their digits), and the audit record shares everything but the content. A policy is given what
 * it can look at, where that is known: reading the rest costs more than deciding.
 */
import type { PoolFacts, Principal } from '../contract/input.schema.ts'
import { quote } from '../contract/quote.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import type { EpochMs } from '../contract/units.ts'
import { grantsText, headersText, listText, poolsText, principalText, queryText } from './input-texts.ts'
import { READS_ANYTHING, type Reads } from './reads.ts'
import { withoutLoneSurrogates } from './values/well-formed.ts'

export interface DescribeFacts {
  readonly id: string
  readonly request: RequestFacts
  readonly body: RequestBody | undefined
  readonly principal: Principal
  /** Those that are in force; none unless given. */
  readonly grants?: readonly object[]
  readonly pools: Readonly<Record<string, PoolFacts>>
  readonly revision: string
  readonly policyAgeSeconds: number
  readonly now: EpochMs
  /** What the policy that is asked can look at; anything unless told. */
  readonly reads?: Reads
}

export interface Description {
  /** What the policy is asked, JSON text, well-formed Unicode: of the request, the pools, the time and itself what it can look at. */
  readonly input: string
  /** All of it. */
  whole(): string
  /** The same without message content, for the audit record. */
  readonly withoutContent: string
  /** JSON pointers to what `withoutContent` leaves out. */
  readonly erased: readonly string[]
  readonly model: string | null
  readonly stream: boolean
  readonly estimatedInputTokens: number
  /** Null where the request names no ceiling. */
  readonly maxOutputTokens: number | null
}

/** Without the models' own tokenizer: about four bytes of JSON a token. */
const BYTES_PER_TOKEN = 4

export function describe(facts: DescribeFacts): Description {
  const { request, body } = facts
  const fields = isRecord(body?.value) ? body.value : {}
  const model = typeof fields.model === 'string' ? fields.model.toWellFormed() : null
  const stream = streams(fields, request.path)
  const bytes = body?.bytes.length ?? 0
  const estimatedInputTokens = Math.ceil(bytes / BYTES_PER_TOKEN)
  const maxOutputTokens = outputCeiling(fields) ?? null

  const reads = facts.reads ?? READS_ANYTHING
  const wanted = wantedBy(reads)
  const headers = headersText(request.headers)
  const kept = withoutContent(body)
  const texts = [
    quote(facts.id),
    quote(request.method),
    quote(request.path),
    listText(request.segments),
    queryText(request.search),
    headers,
    quote(request.clientIp),
    String(request.tls),
    quote(request.operation),
    model === null ? 'null' : quote(model),
    String(stream),
    kept.text,
    String(bytes),
    String(estimatedInputTokens),
    String(maxOutputTokens),
  ]
  const asker = `,"principal":${principalText(facts.principal)},"grants":${grantsText(facts.grants)}`
  const pools = `,"pools":${poolsText(facts.pools)}`
  const policy = `,"policy":{"revision":${quote(facts.revision)},"age_seconds":${facts.policyAgeSeconds}}`
  const time = `,"time":{"now_ns":${facts.now}000000}}`
  const rest = asker + pools + policy + time
  const asked = [...texts]
  asked[HEADERS_AT] = headersRead(headers, request.headers, reads)
  asked[BODY_AT] = bodyRead(body, reads)
  const poolsRead = wanted.pools ? pools : ',"pools":{}'
  const policyRead = wanted.policy ? policy : ',"policy":{}'
  const timeRead = wanted.time ? time : NO_TIME
  return {
    input: requestText(asked, wanted.request) + asker + poolsRead + policyRead + timeRead,
    whole() {
      const all = [...texts]
      all[BODY_AT] = bodyText(body)
      return requestText(all, ALL_MEMBERS) + rest
    },
    withoutContent: requestText(texts, ALL_MEMBERS) + rest,
    erased: kept.erased,
    model,
    stream,
    estimatedInputTokens,
    maxOutputTokens,
  }
}

const REQUEST_MEMBERS = [
  'id',
  'method',
  'path',
  'segments',
  'query',
  'headers',
  'client_ip',
  'tls',
  'operation',
  'model',
  'stream',
  'body',
  'body_bytes',
  'estimated_input_tokens',
  'max_output_tokens',
]
/** What stands before the value of each. */
const LABELS = REQUEST_MEMBERS.map(name => `"${name}":`)
const ALL_MEMBERS = REQUEST_MEMBERS.map((_name, at) => at)
const HEADERS_AT = REQUEST_MEMBERS.indexOf('headers')
const BODY_AT = REQUEST_MEMBERS.indexOf('body')

/** @param texts - JSON texts of the members, in their order. @param wanted - Places in it. */
function requestText(texts: readonly string[], wanted: readonly number[]): string {
  let text = ''
  for (const at of wanted) text += (text && ',') + LABELS[at] + texts[at]
  return `{"request":{${text}}`
}

interface Wanted {
  /** Places in the list of members. */
  readonly request: readonly number[]
  readonly pools: boolean
  readonly policy: boolean
  readonly time: boolean
}

/** Worked out once for a policy. */
const wants = new WeakMap<Reads, Wanted>()

function wantedBy(reads: Reads): Wanted {
  const known = wants.get(reads)
  if (known) return known
  const wanted = {
    request: ALL_MEMBERS.filter(at => reads.mayDependOn(`/input/request/${REQUEST_MEMBERS[at]}`)),
    pools: reads.mayDependOn('/input/pools'),
    policy: reads.mayDependOn('/input/policy'),
    time: reads.mayDependOn('/input/time'),
  }
  wants.set(reads, wanted)
  return wanted
}

const HEADERS = '/input/request/headers'
const BODY = '/input/request/body'

/** @param all - The text of all of them. */
function headersRead(all: string, headers: ReadonlyMap<string, string>, reads: Reads): string {
  if (!reads.mayDependOn(HEADERS)) return '{}'
  return reads.mayDependOn(`${HEADERS}/`)
    ? all
    : headersText(headers, name => reads.mayDependOn(below(HEADERS, name)))
}

/** A member that nothing looks at is left out; what is no object is given as it is. */
function bodyRead(body: RequestBody | undefined, reads: Reads): string {
  if (!body || !reads.mayDependOn(BODY)) return 'null'
  if (!isRecord(body.value) || reads.mayDependOn(`${BODY}/`)) return bodyText(body)
  let text = ''
  for (const [key, { start, end }] of body.members) {
    // By the name that the policy will know it by.
    if (reads.mayDependOn(below(BODY, key.toWellFormed())))
      text += `${text && ','}${quote(key)}:${body.text.slice(start, end).trim()}`
  }
  return withoutLoneSurrogates(`{${text}}`)
}

function below(place: string, name: string): string {
  return `${place}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

const NO_TIME = ',"time":{}}'

/** The same input at a later moment, for a decision that is asked again while its answer streams. */
export function atInstant(input: string, now: EpochMs): string {
  if (input.endsWith(NO_TIME)) return input
  return `${input.slice(0, input.lastIndexOf('"time":{'))}"time":{"now_ns":${now}000000}}`
}

/** The same input under other grants. What stands behind them holds no text of a caller's. */
export function withGrants(input: string, grants: readonly object[]): string {
  const start = input.lastIndexOf(',"grants":[')
  const end = input.indexOf('],"pools":{', start)
  return `${input.slice(0, start)},"grants":${grantsText(grants)}${input.slice(end + 1)}`
}

/** With the digits and the order that it came with, on one line: that of a record ends where its line does. */
function bodyText(body: RequestBody | undefined): string {
  return body ? withoutLoneSurrogates(body.text).replace(LINE_ENDS, ' ') : 'null'
}

/** Only white space between values: inside of a string JSON allows none. */
const LINE_ENDS = /[\r\n]/g

/** Of a body, the model and whatever is a number, true, false or null; the rest may hold content. */
function withoutContent(body: RequestBody | undefined): { text: string; erased: readonly string[] } {
  if (!body) return { text: 'null', erased: [] }
  if (!isRecord(body.value)) return { text: 'null', erased: [BODY] }
  const erased: string[] = []
  let text = ''
  // By how a value begins: looking it up by its key would leave V8 a key that makes all wide that it is part of.
  for (const [key, { start, end }] of body.members) {
    const value = body.text.slice(start, end).trim()
    if (CONTENT.has(value.charAt(0)) && !(key === 'model' && value.startsWith('"'))) {
      erased.push(below(BODY, key).toWellFormed())
    } else text += `${text && ','}${quote(key)}:${value}`
  }
  return { text: withoutLoneSurrogates(`{${text}}`), erased }
}

/** A text, a list or an object. */
const CONTENT: ReadonlySet<string> = new Set(['"', '[', '{'])

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Ollama's own API streams unless told not to. */
function streams(fields: Readonly<Record<string, unknown>>, path: string): boolean {
  if (typeof fields.stream === 'boolean') return fields.stream
  return path === '/api/chat' || path === '/api/generate'
}

/**
 * The ceiling that a client set, by whichever name its API gives it. Of several the highest counts,
 * as nobody knows which one the server reads; one that is none, or means without end, is no ceiling.
 */
function outputCeiling(fields: Readonly<Record<string, unknown>>): number | undefined {
  const options = isRecord(fields.options) ? fields.options : {}
  const { max_completion_tokens, max_tokens, max_output_tokens, n_predict } = fields
  const given = [max_completion_tokens, max_tokens, max_output_tokens, n_predict, options.num_predict].filter(
    value => value !== undefined && value !== null,
  )
  const counts = given.filter(
    (value): value is number => Number.isSafeInteger(value) && (value as number) >= 0,
  )
  return given.length > 0 && counts.length === given.length ? Math.max(...counts) : undefined
}
