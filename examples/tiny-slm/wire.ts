/**
 * Wire: bytes in and out of one exchange, at the pace of the one who reads them.
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ApiError } from './openai.ts'

const MAX_BODY_BYTES = 32 * 1024 * 1024

export async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new ApiError(413, 'The body of the request is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

export function beginEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
}

/** Waits for a slow reader; rejects when the reader has gone. */
export async function sendEvent(response: ServerResponse, data: unknown, signal: AbortSignal): Promise<void> {
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  if (!response.write(`data: ${text}\n\n`)) await once(response, 'drain', { signal })
}

/** Dies as a killed process does: what was written arrives, and then the connection is gone. */
export async function breakOff(response: ServerResponse, lastWords: string): Promise<never> {
  await new Promise(resolve => response.write(lastWords, resolve))
  response.destroy()
  throw new Error('broken off')
}
