/**
 * A request that never came over a socket, read as one that did: for scenarios.
 */
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import { intake } from './intake.ts'
import { parseBody } from './strict-json.ts'

export interface Imagined {
  readonly method: string
  /** The path and the query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** @throws GatewayError when the gateway would refuse it before the policy is asked. */
export function readImagined({ method, target, headers, body }: Imagined): {
  request: RequestFacts
  body: RequestBody | undefined
} {
  const rawHeaders = Object.entries(headers).flat()
  return {
    request: intake({ method, url: target, rawHeaders, socket: { remoteAddress: '127.0.0.1' } }),
    body: body === undefined ? undefined : parseBody(Buffer.from(body)),
  }
}
