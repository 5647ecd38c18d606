/**
 * Talks to a running gateway's admin listener, for the commands of an operator.
 */
import { loadConfig } from '../config/load.ts'
import { isLoopback } from '../contract/addresses.ts'
import type { AdminConfig } from '../contract/config/listeners.ts'
import { configFor } from './config.ts'
import { CommandFailure, EXIT, type Format } from './output.ts'

export interface AdminOptions {
  readonly config: string
  readonly format: Format
  /** The URL of the admin listener; the config says it otherwise. */
  readonly admin?: string
}

export interface AdminAnswer {
  readonly status: number
  /** The JSON of the answer. */
  readonly body: unknown
}

const ANSWER_MS = 60_000

/** @throws CommandFailure when the gateway cannot be reached, or does not let this operator in. */
export async function askAdmin(
  options: AdminOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<AdminAnswer> {
  const { url, token } = adminOf(options)
  let response: Response
  try {
    response = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
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
    throw new CommandFailure(EXIT.failure, 'the gateway wants its admin token, in SALLYPORT_ADMIN_TOKEN')
  return { status: response.status, body: await jsonOf(response, url) }
}

async function jsonOf(response: Response, url: string): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    throw new CommandFailure(EXIT.failure, `${url} does not answer as a gateway: ${response.status}`)
  }
}

/** What the environment and the flags say goes before the config, which need not be there then. */
function adminOf({ config, format, admin }: AdminOptions): { url: string; token: string | undefined } {
  const token = process.env.SALLYPORT_ADMIN_TOKEN || undefined
  if (admin !== undefined) {
    if (!URL.canParse(admin))
      throw new CommandFailure(EXIT.usage, '--admin: expected a URL such as http://127.0.0.1:8081')
    return { url: admin, token: token ?? tokenFor(new URL(admin).hostname, loadConfig(config).config?.admin) }
  }
  const known = configFor(config, format).admin
  const { host, port, tls } = known
  if (port === 0)
    throw new CommandFailure(EXIT.usage, 'admin.port is 0: say where the gateway is with --admin')
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return {
    url: `${tls ? 'https' : 'http'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`,
    token: token ?? tokenIn(known),
  }
}

/** The token of the config is for the gateway of the config, and shown to no other host. */
function tokenFor(hostname: string, admin: AdminConfig | undefined): string | undefined {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (!admin || !(host === admin.host || (isLoopback(host) && isLoopback(admin.host)))) return undefined
  return tokenIn(admin)
}

function tokenIn({ token, tokens }: AdminConfig): string | undefined {
  return token ?? (tokens.find(({ role }) => role === 'operate') ?? tokens[0])?.token
}
