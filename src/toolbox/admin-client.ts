/**
 * Talks to a running gateway's admin listener, for the commands of an operator.
 */
import { loadConfig } from '../config/load.ts'
import { isLoopback } from '../contract/addresses.ts'
import type { AdminConfig } from '../contract/config/listeners.ts'
import { configFor } from './config.ts'
import { type CallAnswer, callGateway, urlIn, urlOf } from './gateway-client.ts'
import type { Format } from './output.ts'

export interface AdminOptions {
  readonly config: string
  readonly format: Format
  /** The URL of the admin listener; the config says it otherwise. */
  readonly admin?: string
}

const ANSWER_MS = 60_000

/** @throws CommandFailure when the gateway cannot be reached, or does not let this operator in. */
export function askAdmin(
  options: AdminOptions,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<CallAnswer> {
  const { url, token } = adminOf(options)
  return callGateway({
    ...{ url, method, path, body },
    wants: 'its admin token, in SALLYPORT_ADMIN_TOKEN',
    credential: token,
    answerWithinMs: ANSWER_MS,
  })
}

/** What the environment and the flags say goes before the config, which need not be there then. */
function adminOf({ config, format, admin }: AdminOptions): { url: string; token: string | undefined } {
  const token = process.env.SALLYPORT_ADMIN_TOKEN || undefined
  if (admin !== undefined) {
    const url = urlIn(admin, '--admin')
    return { url, token: token ?? tokenFor(new URL(url).hostname, loadConfig(config).config?.admin) }
  }
  const known = configFor(config, format).admin
  return { url: urlOf(known, 'admin', '--admin'), token: token ?? tokenIn(known) }
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
