/**
 * Record: what reached the server and how it ended, for tests to read and to wait for.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { FaultKind } from './fault.ts'

/** What reached the server last. */
export interface LastRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly raw_headers: readonly string[]
  /** Of the exact bytes; null until they have all arrived. */
  readonly body_sha256: string | null
  readonly body: string | null
}

/** Counts are of requests under `/v1/`. */
export interface TinySlmStats {
  readonly requests: number
  readonly in_flight: number
  readonly queued: number
  /** The most requests that were being generated for at the same time. */
  readonly most_running: number
  readonly completed: number
  /** The client left before its answer was whole. */
  readonly aborted: number
  /** Spoilt by a fault. */
  readonly failed: number
  readonly generated_tokens: number
  /** Tokens of prompts, and those of them that had not been read before. */
  readonly prompt_tokens: number
  readonly unseen_tokens: number
  readonly last: LastRequest | null
}

/** One request while it lives. */
export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborted as soon as nobody is listening any more. */
  readonly signal: AbortSignal
  /** The fault that is due for this one. */
  readonly fault: FaultKind | undefined
  /** Set when the fault has come about. */
  spoilt: boolean
}

export interface Record {
  arrived(request: IncomingMessage, response: ServerResponse, path: string, fault?: FaultKind): Call
  /** The body of the request that arrived last; bytes of an earlier one are not kept. */
  body(call: Call, bytes: Buffer): void
  generated(tokens: number): void
  read(tokens: number, unseen: number): void
  queue(queued: number, running: number): void
  stats(): TinySlmStats
  until(condition: (stats: TinySlmStats) => boolean): Promise<TinySlmStats>
}

export function createRecord(): Record {
  const counts = {
    requests: 0,
    in_flight: 0,
    queued: 0,
    most_running: 0,
    completed: 0,
    aborted: 0,
    failed: 0,
    generated_tokens: 0,
    prompt_tokens: 0,
    unseen_tokens: 0,
  }
  const watchers = new Set<() => void>()
  let last: LastRequest | null = null
  let latest: IncomingMessage | undefined

  function changed(): void {
    for (const look of watchers) look()
  }

  function arrived(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    fault?: FaultKind,
  ): Call {
    const { method = 'GET', headers, rawHeaders } = request
    const gone = new AbortController()
    const call = { request, response, signal: gone.signal, fault, spoilt: false }
    latest = request
    last = { method, path, headers, raw_headers: rawHeaders, body_sha256: null, body: null }
    counts.requests++
    counts.in_flight++
    // Half of the connection is enough: who has ended it does not wait for more.
    const leave = (): void => gone.abort()
    request.socket.once('end', leave)
    response.on('close', () => {
      request.socket.off('end', leave)
      counts.in_flight--
      counts[call.spoilt ? 'failed' : response.writableFinished ? 'completed' : 'aborted']++
      gone.abort()
      changed()
    })
    changed()
    return call
  }

  function body(call: Call, bytes: Buffer): void {
    if (!last || call.request !== latest) return
    last = { ...last, body_sha256: createHash('sha256').update(bytes).digest('hex'), body: bytes.toString() }
    changed()
  }

  function generated(tokens: number): void {
    counts.generated_tokens += tokens
    changed()
  }

  function read(tokens: number, unseen: number): void {
    counts.prompt_tokens += tokens
    counts.unseen_tokens += unseen
    changed()
  }

  function queue(queued: number, running: number): void {
    counts.queued = queued
    counts.most_running = Math.max(counts.most_running, running)
    changed()
  }

  const stats = (): TinySlmStats => ({ ...counts, last })

  function until(condition: (stats: TinySlmStats) => boolean): Promise<TinySlmStats> {
    return new Promise(resolve => {
      function look(): void {
        const now = stats()
        if (!condition(now)) return
        watchers.delete(look)
        resolve(now)
      }
      watchers.add(look)
      look()
    })
  }

  return { arrived, body, generated, read, queue, stats, until }
}
