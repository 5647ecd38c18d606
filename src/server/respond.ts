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

/** @param names - What every answer says, names and values in turn. */
export function respondRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: PublicRefusal,
  names: readonly string[],
): void {
  const { status, code, message, headers, extra } = refusal
  const further = [...names]
  for (const name of Object.keys(headers)) further.push(name, headers[name] as string)
  const retry = refusal.retryAfterSeconds ?? (status === 429 || status === 503 ? 1 : undefined)
  if (retry !== undefined) further.push('retry-after', String(Math.max(1, Math.ceil(retry))))
  respondJson(request, response, status, errorBody(code, status, message, extra), further)
}

/** @param text - JSON. @param headers - Names and values in turn. */
export function respondJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: readonly string[] = [],
): void {
  if (response.destroyed) return
  const length = String(Buffer.byteLength(text))
  const list = ['content-type', 'application/json', 'content-length', length, ...headers]
  const unread = bodyIsLeft(request)
  if (unread && !hasConnection(headers)) list.push('connection', 'close')
  response.writeHead(status, list)
  if (unread && !isBrokenOff(request)) endAfterDraining(request, response, text)
  else response.end(text)
}

function hasConnection(headers: readonly string[]): boolean {
  return headers.some((name, index) => index % 2 === 0 && name === 'connection')
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
  headers: readonly string[],
): Promise<void> {
  let alive: NodeJS.Timeout | undefined
  try {
    for await (const event of events) {
      if (!response.headersSent) {
        const kind = ['content-type', 'text/event-stream', 'cache-control', 'no-store']
        response.writeHead(200, [...kind, ...headers])
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
function endAfterDraining(request: IncomingMessage, response: ServerResponse, text: string): void {
  let left = MOST_DRAINED
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LONGEST_DRAIN_MS)
  response.write(text)
  request.removeAllListeners('data')
  request.on('data', (part: Buffer) => {
    left -= part.length
    if (left < 0) end()
  })
  request.once('end', end)
  request.once('close', end)
  request.resume()
}
