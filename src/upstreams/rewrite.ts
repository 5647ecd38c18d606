/**
 * Rewrite: what a policy changes in a body, with every other byte left as it came.
 */
import type { Rewrite } from '../contract/decision.schema.ts'
import type { RequestBody } from '../contract/request.ts'

/** @returns The bytes to send: the caller's own unless something was changed. */
export function rewrittenBody(
  body: RequestBody | undefined,
  rewrite: Rewrite | undefined,
  path: string,
): Buffer | undefined {
  if (!body || (rewrite?.model === undefined && rewrite?.max_tokens === undefined)) return body?.bytes
  if (typeof body.value !== 'object' || body.value === null || Array.isArray(body.value)) return body.bytes
  const fields = body.value as Readonly<Record<string, unknown>>
  let text = body.text
  if (rewrite.model !== undefined && fields.model !== rewrite.model)
    text = withMember(text, 'model', JSON.stringify(rewrite.model))
  if (rewrite.max_tokens !== undefined) text = lowered(text, fields, rewrite.max_tokens, path)
  return text === body.text ? body.bytes : Buffer.from(text, 'utf8')
}

/** Every name that a server may read as the ceiling. */
const CEILINGS = ['max_tokens', 'max_completion_tokens', 'n_predict', 'max_output_tokens']

function lowered(
  text: string,
  fields: Readonly<Record<string, unknown>>,
  ceiling: number,
  path: string,
): string {
  if (path.startsWith('/api/')) return loweredOllama(text, fields, ceiling)
  const given = CEILINGS.filter(name => Object.hasOwn(fields, name))
  if (given.length === 0) {
    const own = path === '/completion' || path === '/infill' ? 'n_predict' : 'max_tokens'
    return withMember(text, own, String(ceiling))
  }
  return given.reduce(
    (changed, name) =>
      isLower(fields[name], ceiling) ? changed : withMember(changed, name, String(ceiling)),
    text,
  )
}

/** A negative number means without end to llama.cpp and Ollama; what is no number is no ceiling. */
function isLower(value: unknown, ceiling: number): boolean {
  return typeof value === 'number' && value >= 0 && value <= ceiling
}

function loweredOllama(text: string, fields: Readonly<Record<string, unknown>>, ceiling: number): string {
  const options =
    typeof fields.options === 'object' && fields.options !== null
      ? (fields.options as Record<string, unknown>)
      : {}
  if (isLower(options.num_predict, ceiling)) return text
  return withMember(text, 'options', JSON.stringify({ ...options, num_predict: ceiling }))
}

/**
 * @param text - A JSON object without duplicate keys.
 * @param value - JSON text.
 * @returns The same text with one member set.
 */
export function withMember(text: string, name: string, value: string): string {
  const place = memberValue(text, name)
  if (place) return text.slice(0, place.start) + value + text.slice(place.end)
  const open = text.indexOf('{') + 1
  const empty = /^\s*\}/.test(text.slice(open))
  return `${text.slice(0, open)}${JSON.stringify(name)}:${value}${empty ? '' : ','}${text.slice(open)}`
}

/** Where the value of a member of the outermost object stands, white space around it included. */
function memberValue(text: string, name: string): { start: number; end: number } | undefined {
  let depth = 0
  let expectKey = false
  let start = -1
  for (let at = text.indexOf('{'); at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      const isKey = depth === 1 && expectKey
      if (isKey) expectKey = false
      if (isKey && JSON.parse(text.slice(at, end + 1)) === name) {
        start = text.indexOf(':', end) + 1
        at = start - 1
      } else at = end
    } else if (character === '{' || character === '[') {
      depth++
      expectKey = depth === 1
    } else if (character === '}' || character === ']') {
      depth--
      if (depth === 0 && start >= 0) return { start, end: at }
    } else if (character === ',' && depth === 1) {
      if (start >= 0) return { start, end: at }
      expectKey = true
    }
  }
  return undefined
}

function endOfString(text: string, start: number): number {
  for (let end = start + 1; ; end++) {
    if (text[end] === '\\') end++
    else if (text[end] === '"') return end
  }
}
