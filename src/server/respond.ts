/**
 * Answers that the gateway gives itself: refusals and its own JSON.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorBody } from '../contract/errors.ts'
import { isBrokenOff } from './read-body.ts'

/** A refusal as the caller is told it. */
export interface PublicRefusal {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
  readonly retryAfterSeconds: number | undefined
  /** Further members of `error`. */
  readonly extra?: object | undefined
}

export function respondRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: PublicRefusal,
): void {
  const { status, code, message, headers, extra } = refusal
  const retry = refusal.retryAfterSeconds ?? (status === 429 || status === 503 ? 1 : undefined)
  respondJson(request, response, status, errorBody(code, status, message, extra), {
    ...headers,
    ...(retry === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retry))) }),
  })
}

/** @param text - JSON. */
export function respondJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed) return
  const bytes = Buffer.from(text, 'utf8')
  const unread = bodyIsLeft(request)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    ...headers,
    ...(unread ? { connection: 'close' } : {}),
  })
  if (unread && !isBrokenOff(request)) endAfterDraining(request, response, bytes)
  else response.end(bytes)
}

/** Between two of them a proxy could take the connection for a dead one. */
const ALIVE_EVERY_MS = 15_000

/**
 * Server-sent events, each of them JSON.
 * @throws what the first of them throws, and then nothing was sent.
 */
export async function respondEvents(
  response: ServerResponse,
  events: AsyncIterable<object>,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  let alive: NodeJS.Timeout | undefined
  try {
    for await (const event of events) {
      if (!response.headersSent) {
        response.writeHead(200, {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          ...headers,
        })
        alive = setInterval(() => response.write(':\n\n'), ALIVE_EVERY_MS).unref()
      }
      response.write(`data: ${JSON.stringify(event)}\n\n`)
    }
    response.end()
  } finally {
    clearInterval(alive)
  }
}

/** Small bodies are drained by Node, and the connection lives on. */
const DRAINED_BY_NODE = 64 * 1024
const MOST_DRAINED = 16 * 1024 * 1024
const LONGEST_DRAIN_MS = 2000

function bodyIsLeft(request: IncomingMessage): boolean {
  if (request.complete) return false
  return (
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > DRAINED_BY_NODE
  )
}

/**
 * A client that still sends would have its connection reset before it reads the answer, so what it
 * sends is thrown away first, up to a size and a time.
 */
function endAfterDraining(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  let left = MOST_DRAINED
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LONGEST_DRAIN_MS)
  response.write(bytes)
  request.removeAllListeners('data')
  request.on('data', (part: Buffer) => {
    left -= part.length
    if (left < 0) end()
  })
  request.once('end', end)
  request.once('close', end)
  request.resume()
}
