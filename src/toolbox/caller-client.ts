/**
 * Talks to a running gateway's public listener, for the commands of a caller.
 */
import { configFor } from './config.ts'
import { callGateway, noGateway, urlIn, urlOf } from './gateway-client.ts'
import { CommandExit, EXIT, type Format, print, printJson } from './output.ts'

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
  const answer = await callGateway({
    ...{ url, method, path, body },
    wants: 'a good key, in SALLYPORT_KEY',
    credential: process.env.SALLYPORT_KEY || undefined,
    answerWithinMs: ANSWER_MS,
  })
  if (answer.status < 300) return answer.body as T
  const { message } = (answer.body as { error?: { message?: string } }).error ?? {}
  if (message === undefined) throw noGateway(url, answer.status)
  if (options.format === 'json') printJson(answer.body)
  else print(message)
  throw new CommandExit(EXIT.findings)
}

export function gatewayUrl({ config, format, url }: CallerOptions): string {
  return url === undefined ? urlOf(configFor(config, format).listen, 'listen', '--url') : urlIn(url, '--url')
}
