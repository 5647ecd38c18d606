/**
 * OPA's data API, https://www.openpolicyagent.org/docs/rest-api#data-api, for the policy in force: what a
 * client of OPA sends is answered as OPA would, as far as a compiled policy can.
 */
import { GatewayError } from '../contract/errors.ts'
import type { RequestBody } from '../contract/request.ts'
import { parseBody } from './strict-json.ts'

export interface DataQuestion {
  readonly method: string
  /** Below `/v1/data`, as it stands in the URL. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Buffer
}

export interface DataAnswer {
  readonly status: number
  readonly text: string
}

export interface OpaApiNeeds {
  /** Undefined while no policy is in force. */
  revision(): string | undefined
  readonly version: string
  /** @returns JSON text; undefined where nothing is defined. @throws GatewayError `policy_error` */
  query(path: readonly string[], inputText: string | undefined): string | undefined
}

export function createOpaApi(needs: OpaApiNeeds): (question: DataQuestion) => DataAnswer {
  return question => {
    const began = performance.now()
    const pretty = isSet(question.query, 'pretty')
    try {
      const text = answerTo(question, needs, began)
      return { status: 200, text: `${pretty ? indented(text) : text}\n` }
    } catch (error) {
      if (error instanceof BadParameter)
        return { status: 400, text: failure('invalid_parameter', error.message) }
      if (error instanceof GatewayError)
        return { status: 500, text: failure('internal_error', error.message) }
      throw error
    }
  }
}

class BadParameter extends Error {}

function answerTo({ method, path, query, body }: DataQuestion, needs: OpaApiNeeds, began: number): string {
  const revision = needs.revision()
  if (revision === undefined) throw new GatewayError('policy_error', 'no policy is in force')
  const inputText = method === 'POST' ? inputInBody(body) : inputInQuery(query)
  const parsed = performance.now()
  const result = needs.query(segmentsOf(path), inputText)
  const asked = performance.now()
  const members: string[] = []
  if (isSet(query, 'provenance')) members.push(`"provenance":${provenance(revision, needs.version)}`)
  if (isSet(query, 'metrics') || isSet(query, 'instrument')) {
    const timers = {
      timer_rego_input_parse_ns: nanoseconds(parsed - began),
      timer_rego_query_eval_ns: nanoseconds(asked - parsed),
      timer_server_handler_ns: nanoseconds(performance.now() - began),
    }
    members.push(`"metrics":${JSON.stringify(timers)}`)
  }
  if (result !== undefined) members.push(`"result":${result}`)
  if (method === 'POST' && inputText === undefined) members.push(`"warning":${NO_INPUT}`)
  return `{${members.join()}}`
}

const NO_INPUT = JSON.stringify({
  code: 'api_usage_warning',
  message: "'input' key missing from the request",
})

function provenance(revision: string, version: string): string {
  return JSON.stringify({
    version,
    build_commit: '',
    build_timestamp: '',
    build_hostname: '',
    bundles: { gateway: { revision } },
  })
}

/** A flag is set by its name alone. */
function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false'
}

function segmentsOf(path: string): string[] {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    throw new BadParameter('the path is not well-formed')
  }
}

function inputInBody(body: Buffer): string | undefined {
  if (body.length === 0) return undefined
  const parsed = parsedBy(body, 'body')
  if (typeof parsed.value !== 'object' || Array.isArray(parsed.value))
    throw new BadParameter('body contains malformed input document: it is not an object')
  const place = parsed.members.get('input')
  return place && parsed.text.slice(place.start, place.end).trim()
}

function inputInQuery(query: URLSearchParams): string | undefined {
  const text = query.get('input')
  return text === null ? undefined : parsedBy(Buffer.from(text), 'parameter').text
}

function parsedBy(bytes: Buffer, what: 'body' | 'parameter'): RequestBody {
  try {
    return parseBody(bytes)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new BadParameter(`${what} contains malformed input document: ${error.title}`)
  }
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6)
}

function failure(code: string, message: string): string {
  return `${JSON.stringify({ code, message }, null, 2)}\n`
}

/** With the digits that it has: the text is spread out, not read. */
function indented(text: string): string {
  let depth = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  return text.replace(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\],:]/g, token => {
    if (token === '{' || token === '[') {
      depth++
      return token + line()
    }
    if (token === '}' || token === ']') {
      depth--
      return line() + token
    }
    return token === ',' ? token + line() : token === ':' ? ': ' : token
  })
}
