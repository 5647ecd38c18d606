/**
 * Reads a request's body whole, up to a limit that is known before the first byte is kept.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from '../contract/errors.ts'

/**
 * @param limit - In bytes.
 * @returns The bytes; empty when there is no body.
 * @throws GatewayError `payload_too_large`, or `invalid_request` when the client stops half-way.
 */
export function readBody(request: IncomingMessage, response: ServerResponse, limit: number): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0)
  // Its events are over: nothing would tell that the rest never comes.
  if (request.destroyed) return Promise.reject(halfBody())
  if (declared > limit) return Promise.reject(tooLarge(`${declared} bytes are declared`))
  if (request.headers.expect !== undefined) response.writeContinue()
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let size = 0
    request.on('data', (part: Buffer) => {
      size += part.length
      if (size <= limit) parts.push(part)
      else {
        request.pause()
        reject(tooLarge('the limit was passed while reading'))
      }
    })
    request.on('end', () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, size)))
    request.on('error', cause => reject(halfBody(cause)))
    request.on('close', () => {
      if (!request.complete) reject(halfBody())
    })
  })
}

function tooLarge(message: string): GatewayError {
  return new GatewayError('payload_too_large', message, { headers: { connection: 'close' } })
}

function halfBody(cause?: unknown): GatewayError {
  return new GatewayError('invalid_request', 'the client stopped in the middle of the body', { cause })
}
