/**
 * An event stream: server-sent events over one answer that does not end.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface EventStream {
  send(event: { readonly id?: string; readonly event?: string; readonly data: string }): void
}

/** So that proxies between keep the connection, and a client that has gone is noticed. */
const HEARTBEAT_MS = 15_000
const RETRY_MS = 2000
/** A client that reads more slowly than this is sent away, and takes up where it was. */
const MOST_UNREAD_BYTES = 4 * 1024 * 1024

export function wantsEvents({ headers }: IncomingMessage): boolean {
  return /\btext\/event-stream\b/i.test(headers.accept ?? '')
}

/** @param onClose - Called once, when nobody listens any more. */
export function openEventStream(response: ServerResponse, onClose: () => void): EventStream {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
  const heartbeat = setInterval(() => response.write(': alive\n\n'), HEARTBEAT_MS)
  response.on('error', () => {})
  response.once('close', () => {
    clearInterval(heartbeat)
    onClose()
  })
  response.write(`retry: ${RETRY_MS}\n\n`)
  return {
    send({ id, event, data }) {
      if (response.destroyed) return
      const name = event === undefined ? '' : `event: ${event}\n`
      response.write(`${name}${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`)
      if (response.writableLength > MOST_UNREAD_BYTES) response.destroy()
    },
  }
}
