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
  const cause = broken.get(request)
  if (cause) return Promise.reject(brokenOff(cause))
  const declared = Number(request.headers['content-length'] ?? 0)
  // Its events are over: nothing would tell that the rest never comes.
  if (request.destroyed) return Promise.reject(halfBody())
  if (declared > limit) return Promise.reject(tooLarge(`${declared} bytes are declared`))
  if (request.headers.expect !== undefined) response.writeContinue()
  return new Promise((resolve, reject) => {
    // The request, and with it what listens to it, is there until the answer is over: the bytes are let go of.
    let reading: Reading | undefined = { parts: [], size: 0, resolve, reject }
    const fail = (error: GatewayError): void => {
      reading?.reject(error)
      reading = undefined
    }
    request.on('data', (part: Buffer) => {
      if (!reading) return
      reading.size += part.length
      if (reading.size <= limit) reading.parts.push(part)
      else {
        request.pause()
        fail(tooLarge('the limit was passed while reading'))
      }
    })
    request.on('end', () => {
      reading?.resolve(wholeOf(reading))
      reading = undefined
    })
    request.on('error', cause => fail(brokenOff(cause)))
    request.on('close', () => {
      if (!request.complete) fail(halfBody())
    })
  })
}

interface Reading {
  readonly parts: Buffer[]
  size: number
  resolve(bytes: Buffer): void
  reject(error: GatewayError): void
}

function wholeOf({ parts, size }: Reading): Buffer {
  const [first] = parts
  return first && parts.length === 1 ? first : Buffer.concat(parts, size)
}

const broken = new WeakMap<IncomingMessage, NodeJS.ErrnoException>()

/** Tells whoever reads the body, now or later, that the rest of it will not come. */
export function breakOff(request: IncomingMessage, cause: NodeJS.ErrnoException): void {
  broken.set(request, cause)
  if (request.listenerCount('error') > 0) request.emit('error', cause)
}

export function isBrokenOff(request: IncomingMessage): boolean {
  return broken.has(request)
}

function tooLarge(message: string): GatewayError {
  return new GatewayError('payload_too_large', message, { headers: { connection: 'close' } })
}

/** What the listener tells of a body whose framing is broken, or that takes too long to come. */
function brokenOff(cause: NodeJS.ErrnoException): GatewayError {
  if (cause.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new GatewayError('invalid_request', 'the body took too long to come', {
      cause,
      status: 408,
      title: 'The body took too long to come',
      headers: { connection: 'close' },
    })
  if (cause.code?.startsWith('HPE_'))
    return new GatewayError('invalid_request', `the framing of the body: ${cause.code}`, {
      cause,
      headers: { connection: 'close' },
    })
  return halfBody(cause)
}

function halfBody(cause?: unknown): GatewayError {
  return new GatewayError('invalid_request', 'the client stopped in the middle of the body', { cause })
}
