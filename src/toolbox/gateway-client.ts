/**
 * Talks to a running gateway, at either of its listeners, for the commands.
 */
import { CommandFailure, EXIT } from './output.ts'

export interface Call {
  readonly url: string
  /** What it wants of who asks, and where that is looked for, as `a good key, in SALLYPORT_KEY`. */
  readonly wants: string
  readonly credential: string | undefined
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: object | undefined
  readonly answerWithinMs: number
}

export interface CallAnswer {
  readonly status: number
  /** The JSON of the answer. */
  readonly body: unknown
}

/** @throws CommandFailure when the gateway cannot be reached, is none, or does not know who asks. */
export async function callGateway(call: Call): Promise<CallAnswer> {
  const { url, wants, credential, body } = call
  let response: Response
  try {
    response = await fetch(new URL(call.path, url), {
      method: call.method,
      headers: {
        ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      signal: AbortSignal.timeout(call.answerWithinMs),
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    throw new CommandFailure(EXIT.failure, `no gateway answers at ${url}: ${cause?.code ?? message}`)
  }
  if (response.status === 401) throw new CommandFailure(EXIT.failure, `the gateway wants ${wants}`)
  try {
    return { status: response.status, body: await response.json() }
  } catch {
    throw noGateway(url, response.status)
  }
}

export function noGateway(url: string, status: number): CommandFailure {
  return new CommandFailure(EXIT.failure, `${url} does not answer as a gateway: ${status}`)
}

/** @param flag - That gave it. @throws CommandFailure for what is no URL. */
export function urlIn(text: string, flag: string): string {
  if (URL.canParse(text)) return text
  throw new CommandFailure(EXIT.usage, `${flag}: expected a URL such as http://127.0.0.1:8080`)
}

/**
 * Where a listener of the config is reached from the same machine.
 * @param section - Of the config. @param flag - That would say it otherwise.
 * @throws CommandFailure when the config leaves the port to the system.
 */
export function urlOf(
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls?: object },
  section: string,
  flag: string,
): string {
  if (port === 0)
    throw new CommandFailure(EXIT.usage, `${section}.port is 0: say where the gateway is with ${flag}`)
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${tls ? 'https' : 'http'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}
