/** A receiver of announcements, which checks who sent them as the Standard Webhooks say. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly id: string
  readonly seconds: number
  readonly signature: string
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks wherever it wants to
  readonly body: any
}

export interface Receiver {
  readonly url: string
  /** Everything that came, refused or not. */
  readonly received: readonly Received[]
  /** Answers this from now on; `hang` does not answer. */
  answer(status: number | 'hang'): void
  close(): Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = []
  let status: number | 'hang' = 204
  const server = http.createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const text = Buffer.concat(parts).toString('utf8')
    received.push({
      id: String(request.headers['webhook-id']),
      seconds: Number(request.headers['webhook-timestamp']),
      signature: String(request.headers['webhook-signature']),
      text,
      body: JSON.parse(text),
    })
    if (status !== 'hang') response.writeHead(status).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    answer: next => {
      status = next
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** What a careful receiver does: the signature, then the age, then whether it had this one before. */
export function createGatekeeper(secret: string, toleranceSeconds = 300) {
  const seen = new Set<string>()
  return (message: Received, nowSeconds: number): 'taken' | 'forged' | 'old' | 'seen' => {
    const { id, seconds, text } = message
    const wanted = createHmac('sha256', secret).update(`${id}.${seconds}.${text}`).digest()
    const given = Buffer.from(message.signature.replace(/^v1,/, ''), 'base64')
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'forged'
    if (Math.abs(nowSeconds - seconds) > toleranceSeconds) return 'old'
    if (seen.has(id)) return 'seen'
    seen.add(id)
    return 'taken'
  }
}
