/**
 * Talks to a running gateway's public listener, for the commands of a caller.
 */
import { configFor } from './config.ts'
import { CommandExit, CommandFailure, EXIT, type Format, print, printJson } from './output.ts'

export interface CallerOptions {
  readonly config: string
  readonly format: Format
  /** The URL of the gateway; the config says it otherwise. */
  readonly url?: string
}

const ANSWER_MS = 90_000

/** @throws CommandFailure when the gateway cannot be reached, or does not know this caller. */
export async function askGateway<T>(
  options: CallerOptions,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const url = gatewayUrl(options)
  const key = process.env.SALLYPORT_KEY || undefined
  let response: Response
  try {
    response = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    throw new CommandFailure(EXIT.failure, `no gateway answers at ${url}: ${cause?.code ?? message}`)
  }
  if (response.status === 401)
    throw new CommandFailure(EXIT.failure, 'the gateway wants a good key, in SALLYPORT_KEY')
  const answer = await jsonOf(response, url)
  if (response.ok) return answer as T
  const { message } = (answer as { error?: { message?: string } }).error ?? {}
  if (message === undefined)
    throw new CommandFailure(EXIT.failure, `${url} does not answer as a gateway: ${response.status}`)
  if (options.format === 'json') printJson(answer)
  else print(message)
  throw new CommandExit(EXIT.findings)
}

async function jsonOf(response: Response, url: string): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    throw new CommandFailure(EXIT.failure, `${url} does not answer as a gateway: ${response.status}`)
  }
}

export function gatewayUrl({ config, format, url }: CallerOptions): string {
  if (url !== undefined) {
    if (URL.canParse(url)) return url
    throw new CommandFailure(EXIT.usage, '--url: expected a URL such as http://127.0.0.1:8080')
  }
  const { host, port, tls } = configFor(config, format).listen
  if (port === 0)
    throw new CommandFailure(EXIT.usage, 'listen.port is 0: say where the gateway is with --url')
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${tls ? 'https' : 'http'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}
