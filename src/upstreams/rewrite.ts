/**
 * Rewrite: what a policy changes in a body, with every other byte left as it came.
 */
import type { Rewrite } from '../contract/decision.schema.ts'
import { scanJson, withMember } from '../contract/json-text.ts'
import type { RequestBody } from '../contract/request.ts'

/**
 * @param askUsage - Whether a stream is to report its usage, which it does not by itself.
 * @returns The bytes to send: the caller's own unless something was changed.
 */
export function rewrittenBody(
  body: RequestBody | undefined,
  rewrite: Rewrite | undefined,
  path: string,
  askUsage = false,
): Buffer | undefined {
  if (!body || !isObject(body.value)) return body?.bytes
  let text = body.text
  if (rewrite?.model !== undefined && body.value.model !== rewrite.model) {
    text = set(text, 'model', JSON.stringify(rewrite.model))
  }
  if (rewrite?.max_tokens !== undefined && !EMBEDDING.has(path)) {
    text = lowered(text, body.value, rewrite.max_tokens, path)
  }
  if (askUsage) text = withUsage(text, body.value)
  return text === body.text ? body.bytes : Buffer.from(text, 'utf8')
}

const REPORTS_WHEN_ASKED = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/chat/completions',
  '/completions',
])

/** Whether a request is for a stream that reports no usage unless it is asked to. */
export function reportsNoUsage(body: RequestBody | undefined, path: string): boolean {
  if (!body || !isObject(body.value) || body.value.stream !== true || !REPORTS_WHEN_ASKED.has(path))
    return false
  const options = body.value.stream_options
  return !(isObject(options) && options.include_usage === true)
}

function withUsage(text: string, fields: Fields): string {
  if (!isObject(fields.stream_options)) return set(text, 'stream_options', '{"include_usage":true}')
  const place = scanJson(text).members.get('stream_options')
  return set(text, 'stream_options', set(text.slice(place?.start, place?.end), 'include_usage', 'true'))
}

type Fields = Readonly<Record<string, unknown>>

/** What generates nothing has no ceiling, and some servers refuse a member that they do not know. */
const EMBEDDING = new Set(['/v1/embeddings', '/embeddings', '/embedding', '/api/embed', '/api/embeddings'])

/** Where it is called something else than `max_tokens`. */
const CEILING_AT: ReadonlyMap<string, string> = new Map([
  ['/completion', 'n_predict'],
  ['/infill', 'n_predict'],
  ['/v1/responses', 'max_output_tokens'],
])

/** Every name that a server may read as the ceiling. */
const CEILINGS = ['max_tokens', 'max_completion_tokens', 'n_predict', 'max_output_tokens']

function lowered(text: string, fields: Fields, ceiling: number, path: string): string {
  if (path.startsWith('/api/')) return loweredOllama(text, fields, ceiling)
  const given = CEILINGS.filter(name => Object.hasOwn(fields, name))
  if (given.length === 0) return set(text, CEILING_AT.get(path) ?? 'max_tokens', String(ceiling))
  const tooHigh = given.filter(name => !isLower(fields[name], ceiling))
  return tooHigh.reduce((changed, name) => set(changed, name, String(ceiling)), text)
}

/** A negative number means without end to llama.cpp and Ollama; what is no number is no ceiling. */
function isLower(value: unknown, ceiling: number): boolean {
  return typeof value === 'number' && value >= 0 && value <= ceiling
}

function loweredOllama(text: string, fields: Fields, ceiling: number): string {
  const options = fields.options
  if (!isObject(options)) return set(text, 'options', `{"num_predict":${ceiling}}`)
  if (isLower(options.num_predict, ceiling)) return text
  const place = scanJson(text).members.get('options')
  return set(text, 'options', set(text.slice(place?.start, place?.end), 'num_predict', String(ceiling)))
}

function set(text: string, name: string, value: string): string {
  return withMember(text, scanJson(text).members, name, value)
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
