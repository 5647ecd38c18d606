/**
 * Server: the model behind an OpenAI-compatible HTTP interface, with faults on demand.
 *
 * It also remembers what reached it (`/stats`), so that a test of a gateway in front of it can tell what
 * passed through, byte by byte, and whether a client that left was noticed.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type FaultKind, parseFault } from './fault.ts'
import { createMemory } from './memory.ts'
import { type FinishReason, train } from './model.ts'
import {
  ApiError,
  embeddings,
  type Generation,
  readBody,
  readChat,
  readCompletion,
  readEmbedding,
  shapes,
  usageOf,
} from './openai.ts'
import { type Call, createRecord, type TinySlmStats } from './record.ts'
import { createSlots } from './slots.ts'
import { beginEvents, breakOff, readBytes, sendEvent, sendJson } from './wire.ts'

export interface TinySlmOptions {
  readonly host?: string
  /** 0 takes a free one. */
  readonly port?: number
  readonly models?: readonly string[]
  /** 0 is as fast as possible. */
  readonly tokensPerSecond?: number
  /** How many requests are generated for at the same time; the others wait in a queue. */
  readonly slots?: number
  /** How long a token of a prompt takes to read, ms, where it was not read before. */
  readonly promptTokenMs?: number
  /** How many prompts and their answers are remembered, and need not be read again. */
  readonly remembered?: number
  /** Tells this server from others: the header `x-tiny-slm`, and `system_fingerprint`. */
  readonly name?: string
  /** See `fault.ts`: `KIND` or `KIND:N`. */
  readonly fault?: string | null
}

export interface TinySlm {
  readonly url: string
  readonly port: number
  stats(): TinySlmStats
  /** Resolves with the first counts that the condition holds for. */
  until(condition: (stats: TinySlmStats) => boolean): Promise<TinySlmStats>
  setFault(fault: string | null, options?: { health?: boolean }): void
  close(): Promise<void>
}

/** A break comes after this many chunks of a stream. */
const CHUNKS_BEFORE_BREAK = 4
const HALF_AN_EVENT = 'data: {"id":"'
/** Without pacing, other requests get their turn after this many tokens. */
const TOKENS_PER_TURN = 8
const DEFAULT_REMEMBERED = 16
/** Longer than a gateway keeps an idle connection, so that it is never the server that closes one in use. */
const KEEP_ALIVE_MS = 75_000

export async function startTinySlm(options: TinySlmOptions = {}): Promise<TinySlm> {
  const { host = '127.0.0.1', port = 0, models = ['tiny'], name = 'tiny-slm', tokensPerSecond = 0 } = options
  const started = Math.floor(Date.now() / 1000)
  const model = train(readFileSync(new URL('corpus.txt', import.meta.url), 'utf8'))
  const record = createRecord()
  const slots = createSlots(options.slots ?? Number.POSITIVE_INFINITY, record.queue)
  const memory = createMemory(options.remembered ?? DEFAULT_REMEMBERED)
  let fault = options.fault ? parseFault(options.fault) : undefined
  let sinceFault = 0

  function setFault(text: string | null, { health = false } = {}): void {
    fault = text === null ? undefined : parseFault(text, health)
    sinceFault = 0
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('x-tiny-slm', name)
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    if (path === '/health') return health(response)
    if (path === '/stats') return sendJson(response, 200, record.stats())
    if (path === '/fault') return changeFault(request, response)
    const call = record.arrived(request, response, path, dueFault())
    try {
      await misbehave(call)
      await answer(call, path)
    } catch (error) {
      if (response.destroyed || call.signal.aborted) return
      if (!(error instanceof ApiError) || response.headersSent) throw error
      sendJson(response, error.status, error)
    }
  }

  function health(response: ServerResponse): void {
    if (!fault?.health) sendJson(response, 200, { status: 'ok' })
    else if (fault.kind === 'refuse') response.socket?.resetAndDestroy()
    else if (fault.kind !== 'hang') sendJson(response, 503, { status: 'error' })
  }

  async function changeFault(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const wanted = readBody(await readBytes(request))
      if (wanted.fault !== null && typeof wanted.fault !== 'string')
        throw new RangeError('expected a string or null')
      setFault(wanted.fault, { health: wanted.health === true })
      sendJson(response, 200, { fault: wanted.fault })
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof ApiError)) throw error
      sendJson(response, 400, new ApiError(400, error.message, 'invalid_value', 'fault'))
    }
  }

  function dueFault(): FaultKind | undefined {
    return fault && ++sinceFault % fault.every === 0 ? fault.kind : undefined
  }

  /** The faults that need no answer to spoil. */
  async function misbehave(call: Call): Promise<void> {
    if (call.fault === 'refuse') {
      call.spoilt = true
      call.request.socket.resetAndDestroy()
      call.response.destroy()
      throw new Error('refused')
    }
    if (call.fault === 'hang') {
      await keepBody(call)
      if (!call.signal.aborted) await once(call.signal, 'abort')
      call.signal.throwIfAborted()
    }
    if (call.fault === '500') {
      await keepBody(call)
      call.spoilt = true
      throw new ApiError(500, 'The server had an error while processing your request.')
    }
  }

  async function answer(call: Call, path: string): Promise<void> {
    switch (`${call.request.method} ${path}`) {
      case 'POST /v1/chat/completions':
        return generate(call, readChat(readBody(await keepBody(call))))
      case 'POST /v1/completions':
        return generate(call, readCompletion(readBody(await keepBody(call))))
      case 'POST /v1/embeddings': {
        const asked = readEmbedding(readBody(await keepBody(call)))
        mustServe(asked.model)
        const tokens = asked.inputs.map(input => (typeof input === 'string' ? model.encode(input) : input))
        return reply(call, embeddings(asked, tokens))
      }
      case 'GET /v1/models':
        return reply(call, { object: 'list', data: models.map(describe) })
      default: {
        const id = models.find(each => path === `/v1/models/${encodeURIComponent(each)}`)
        if (id !== undefined && call.request.method === 'GET') return reply(call, describe(id))
        throw new ApiError(404, `Unknown request: ${call.request.method} ${path}`, 'not_found')
      }
    }
  }

  function describe(id: string) {
    return { id, object: 'model', created: started, owned_by: name }
  }

  function mustServe(wanted: string): void {
    if (models.includes(wanted)) return
    throw new ApiError(404, `The model \`${wanted}\` does not exist.`, 'model_not_found', 'model')
  }

  async function keepBody(call: Call): Promise<Buffer> {
    const bytes = await readBytes(call.request)
    record.body(call, bytes)
    return bytes
  }

  async function reply(call: Call, body: unknown): Promise<void> {
    call.spoilt = call.fault !== undefined
    if (call.fault === undefined) return sendJson(call.response, 200, body)
    const text = JSON.stringify(body)
    call.response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    if (call.fault === 'break') await breakOff(call.response, text.slice(0, text.length / 2))
    call.response.end(garbage(Buffer.byteLength(text)))
  }

  async function generate(call: Call, asked: Generation): Promise<void> {
    mustServe(asked.model)
    const prompt = model.encode(asked.prompt)
    await slots.take(call.signal)
    try {
      await read(asked, prompt, call.signal)
      await (asked.stream ? stream : whole)(call, asked, prompt)
    } finally {
      slots.free()
    }
  }

  /** Reading takes its time, and what was read before takes none. */
  async function read(asked: Generation, prompt: readonly number[], signal: AbortSignal): Promise<void> {
    const unseen = prompt.length - memory.known(asked.prompt, prompt.length)
    record.read(prompt.length, unseen)
    const ms = unseen * (options.promptTokenMs ?? 0)
    if (ms > 0) await setTimeout(ms, undefined, { signal })
  }

  async function whole(call: Call, asked: Generation, prompt: readonly number[]): Promise<void> {
    let text = ''
    const { finish, tokens } = await write(call, asked, prompt, piece => {
      text += piece
    })
    await reply(call, shapes(asked, name).whole(text, finish, usageOf(prompt.length, tokens)))
  }

  async function stream(call: Call, asked: Generation, prompt: readonly number[]): Promise<void> {
    const shape = shapes(asked, name)
    let left = call.fault === 'break' ? CHUNKS_BEFORE_BREAK : Number.POSITIVE_INFINITY
    call.spoilt = call.fault !== undefined

    async function send(data: unknown): Promise<void> {
      if (left-- <= 0) await breakOff(call.response, HALF_AN_EVENT)
      await sendEvent(call.response, data, call.signal)
    }

    beginEvents(call.response)
    if (call.fault === 'garbage') return void call.response.end(garbage(256))
    const first = shape.first()
    if (first) await send(first)
    const { finish, tokens } = await write(call, asked, prompt, text => send(shape.text(text)))
    if (call.fault === 'break') await breakOff(call.response, HALF_AN_EVENT)
    await send(shape.last(finish))
    if (asked.includeUsage) await send(shape.usage(usageOf(prompt.length, tokens)))
    await send('[DONE]')
    call.response.end()
  }

  /** Writes at the speed asked for, and stops at once when nobody is listening. */
  async function write(
    call: Call,
    asked: Generation,
    prompt: readonly number[],
    emit: (text: string) => Promise<void> | void,
  ): Promise<{ finish: FinishReason; tokens: number }> {
    const pieces = model.generate(prompt, { ...asked, mode: asked.kind === 'chat' ? 'answer' : 'continue' })
    const began = performance.now()
    for (let tokens = 0; ; ) {
      const step = pieces.next()
      if (step.done) return { finish: step.value, tokens }
      tokens += step.value.tokens
      await pause(began, tokens, call.signal)
      // Its time has passed, and somebody is there to get it.
      record.generated(step.value.tokens)
      if (step.value.text !== '') await emit(step.value.text)
    }
  }

  async function pause(began: number, tokens: number, signal: AbortSignal): Promise<void> {
    if (tokensPerSecond === 0) {
      if (tokens % TOKENS_PER_TURN === 0) await setImmediate()
    } else {
      const early = began + (tokens / tokensPerSecond) * 1000 - performance.now()
      if (early > 0) await setTimeout(early, undefined, { signal })
    }
    signal.throwIfAborted()
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.destroyed) return
      console.error(error)
      response.destroy()
    })
  })
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.listen(port, host)
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port

  async function close(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  const { stats, until } = record
  return { url: `http://${host}:${bound}`, port: bound, stats, until, setFault, close }
}

/** What no client of this protocol can read: events that are not JSON, and not even UTF-8. */
function garbage(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'data: \xff{"choices": [<oops>\n\n', 'latin1')
}
