/**
 * OpenAI: the request bodies this server reads and the answers it writes, as OpenAI's API has them.
 *
 * No sockets and no state: a body in, what was asked or an `ApiError` out.
 */
import { createHash, randomInt, randomUUID } from 'node:crypto'
import type { FinishReason } from './model.ts'

/** An answer in OpenAI's error form. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly param: string | null = null,
  ) {
    super(message)
  }

  toJSON() {
    const type = this.status >= 500 ? 'server_error' : 'invalid_request_error'
    return { error: { message: this.message, type, param: this.param, code: this.code } }
  }
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** What a chat or a completion asks for, whatever its body looked like. */
export interface Generation {
  readonly kind: 'chat' | 'completion'
  readonly model: string
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly stop: readonly string[]
  readonly ignoreEnd: boolean
  readonly stream: boolean
  readonly includeUsage: boolean
}

export interface Embedding {
  readonly model: string
  readonly inputs: readonly (string | readonly number[])[]
  readonly dimensions: number
  readonly base64: boolean
}

type Body = Readonly<Record<string, unknown>>

const DEFAULT_MAX_TOKENS = 256
const DEFAULT_DIMENSIONS = 32

export function readBody(bytes: Buffer): Body {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString())
  } catch {
    throw new ApiError(400, 'We could not parse the JSON body of your request.')
  }
  if (!isObject(body)) throw new ApiError(400, 'The body of the request must be a JSON object.')
  return body
}

export function readChat(body: Body): Generation {
  const messages = body.messages
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalid('messages', 'a list of one or more messages')
  return readGeneration('chat', body, `${messages.map(readMessage).join('')}assistant:`)
}

export function readCompletion(body: Body): Generation {
  const prompt = Array.isArray(body.prompt) && body.prompt.length === 1 ? body.prompt[0] : body.prompt
  if (typeof prompt !== 'string') throw invalid('prompt', 'a string, or a list that holds one')
  return readGeneration('completion', body, prompt)
}

export function readEmbedding(body: Body): Embedding {
  const format = body.encoding_format ?? 'float'
  if (format !== 'float' && format !== 'base64') throw invalid('encoding_format', '"float" or "base64"')
  return {
    model: readModel(body),
    inputs: readInputs(body.input),
    dimensions: readNumber(body, 'dimensions', { whole: true, from: 1, to: 4096 }) ?? DEFAULT_DIMENSIONS,
    base64: format === 'base64',
  }
}

/** The shapes of one answer: whole, or its chunks. */
export function shapes(asked: Generation, fingerprint: string) {
  const chat = asked.kind === 'chat'
  const common = {
    id: `${chat ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: asked.model,
    system_fingerprint: fingerprint,
  }
  const object = chat ? 'chat.completion' : 'text_completion'
  const chunkObject = chat ? 'chat.completion.chunk' : 'text_completion'
  const usageOfChunk = asked.includeUsage ? { usage: null } : {}

  function chunk(part: object, finish: FinishReason | null) {
    const choice = { index: 0, ...part, logprobs: null, finish_reason: finish }
    return { ...common, object: chunkObject, choices: [choice], ...usageOfChunk }
  }

  return {
    whole(text: string, finish: FinishReason, usage: Usage) {
      const part = chat ? { message: { role: 'assistant', content: text, refusal: null } } : { text }
      return {
        ...common,
        object,
        choices: [{ index: 0, ...part, logprobs: null, finish_reason: finish }],
        usage,
      }
    },
    /** Chat begins with a chunk that says who speaks. */
    first: () => (chat ? chunk({ delta: { role: 'assistant', content: '' } }, null) : undefined),
    text: (text: string) => chunk(chat ? { delta: { content: text } } : { text }, null),
    last: (finish: FinishReason) => chunk(chat ? { delta: {} } : { text: '' }, finish),
    usage: (usage: Usage) => ({ ...common, object: chunkObject, choices: [], usage }),
  }
}

export function usageOf(prompt: number, completion: number): Usage {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

/** A list of inputs, and how many tokens each of them has, as an answer. */
export function embeddings(asked: Embedding, tokens: readonly (readonly number[])[]) {
  const count = tokens.reduce((sum, input) => sum + input.length, 0)
  return {
    object: 'list',
    data: asked.inputs.map((input, index) => {
      const vector = embed(input, asked.dimensions)
      return { object: 'embedding', index, embedding: asked.base64 ? toBase64(vector) : [...vector] }
    }),
    model: asked.model,
    usage: { prompt_tokens: count, total_tokens: count },
  }
}

/** A vector of length one in which each word of the input has its own direction. */
function embed(input: string | readonly number[], dimensions: number): Float32Array {
  const words = typeof input === 'string' ? input.toLowerCase().split(/[^\p{L}\p{N}]+/u) : input.map(String)
  const vector = new Float64Array(dimensions)
  for (const word of words) {
    const digest = createHash('sha256').update(word).digest()
    for (let axis = 0; axis < dimensions; axis++) {
      vector[axis] = (vector[axis] ?? 0) + ((digest[axis % digest.length] ?? 0) - 127.5)
    }
  }
  const length = Math.hypot(...vector) || 1
  return Float32Array.from(vector, value => value / length)
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer).toString('base64')
}

function readGeneration(kind: Generation['kind'], body: Body, prompt: string): Generation {
  const ceiling =
    kind === 'chat' && body.max_completion_tokens != null ? 'max_completion_tokens' : 'max_tokens'
  readNumber(body, 'n', { whole: true, from: 1, to: 1 })
  const stream = readBoolean(body, 'stream')
  const options = body.stream_options ?? undefined
  if (options !== undefined && !isObject(options)) throw invalid('stream_options', 'an object')
  if (options && !stream) throw invalid('stream_options', 'nothing unless `stream` is true')
  return {
    kind,
    model: readModel(body),
    prompt,
    maxTokens: readNumber(body, ceiling, { whole: true, from: 1, to: 1_000_000 }) ?? DEFAULT_MAX_TOKENS,
    temperature: readNumber(body, 'temperature', { whole: false, from: 0, to: 2 }) ?? 1,
    seed: readNumber(body, 'seed', { whole: true, from: -(2 ** 53), to: 2 ** 53 }) ?? randomInt(2 ** 32),
    stop: readStop(body.stop),
    ignoreEnd: readBoolean(body, 'ignore_eos'),
    stream,
    includeUsage: options ? readBoolean(options, 'include_usage') : false,
  }
}

function readModel(body: Body): string {
  if (typeof body.model !== 'string' || body.model === '') throw invalid('model', 'the name of a model')
  return body.model
}

/** One line of the prompt, as a chat template renders it. */
function readMessage(message: unknown, index: number): string {
  const param = `messages[${index}]`
  if (!isObject(message)) throw invalid(param, 'an object')
  if (typeof message.role !== 'string') throw invalid(`${param}.role`, 'a string')
  return `${message.role}: ${readContent(message.content ?? '', `${param}.content`)}\n`
}

function readContent(content: unknown, param: string): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw invalid(param, 'a string or a list of parts')
  return content
    .map((part: unknown) => (isObject(part) && typeof part.text === 'string' ? part.text : ''))
    .join('')
}

function readStop(stop: unknown): string[] {
  const list = stop == null ? [] : Array.isArray(stop) ? stop : [stop]
  const good = list.length <= 4 && list.every(end => typeof end === 'string' && end !== '')
  if (!good) throw invalid('stop', 'a string or a list of up to four, none empty')
  return list
}

function readInputs(input: unknown): (string | number[])[] {
  const list = Array.isArray(input) && !isTokens(input) ? input : [input]
  const good = list.length > 0 && list.every(one => (typeof one === 'string' && one !== '') || isTokens(one))
  if (!good) throw invalid('input', 'a string, a list of tokens, or a list of either, none empty')
  return list
}

function isTokens(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every(token => Number.isSafeInteger(token))
}

interface Range {
  readonly whole: boolean
  readonly from: number
  readonly to: number
}

function readNumber(body: Body, param: string, { whole, from, to }: Range): number | undefined {
  const value = body[param] ?? undefined
  if (value === undefined) return undefined
  const good =
    typeof value === 'number' && value >= from && value <= to && (!whole || Number.isInteger(value))
  if (!good) throw invalid(param, `${whole ? 'a whole number' : 'a number'} from ${from} to ${to}`)
  return value
}

function readBoolean(body: Body, param: string): boolean {
  const value = body[param] ?? false
  if (typeof value !== 'boolean') throw invalid(param, 'true or false')
  return value
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(param: string, expected: string): ApiError {
  return new ApiError(400, `Invalid value for '${param}': expected ${expected}.`, 'invalid_value', param)
}
