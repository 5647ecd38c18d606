/**
 * Operators: who may come to the admin listener, and what they may do there.
 *
 * On loopback without a token everybody who reaches it operates; a page in a browser does not, whatever
 * name it came by.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isLoopback, normaliseAddress } from '../contract/addresses.ts'

export type Role = 'read' | 'operate'

export interface Operator {
  readonly name: string
  readonly role: Role
  readonly method: 'loopback' | 'token' | 'certificate'
  readonly address: string
}

export interface OperatorToken {
  readonly token: string
  readonly role: Role
  readonly name: string
}

export interface OperatorsNeeds {
  /** The address that the listener is bound to. */
  readonly host: string
  /** Names that it may be asked by, besides addresses; empty: those of loopback there, and any elsewhere. */
  readonly hosts: readonly string[]
  readonly tokens: readonly OperatorToken[]
  /** What a verified client certificate may do; undefined where none is asked for. */
  readonly certificateRole: Role | undefined
}

export interface Operators {
  /** @returns undefined when no valid credential was presented. */
  identify(request: IncomingMessage): Operator | undefined
  /** Whether the name in `Host` is one of ours: a page whose name was pointed here is refused. */
  knows(hostHeader: string | undefined): boolean
}

export function createOperators({ host, hosts, tokens, certificateRole }: OperatorsNeeds): Operators {
  const known = tokens.map(({ token, ...who }) => ({ ...who, digest: digest(token) }))
  const open = isLoopback(host) && known.length === 0 && certificateRole === undefined
  const names = new Set([host, ...hosts].map(name => name.toLowerCase()))

  function byToken(request: IncomingMessage): Omit<Operator, 'address'> | undefined {
    const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (given === undefined) return undefined
    const presented = digest(given)
    const found = known.filter(one => timingSafeEqual(one.digest, presented))[0]
    return found && { name: found.name, role: found.role, method: 'token' }
  }

  function byCertificate({ socket }: IncomingMessage): Omit<Operator, 'address'> | undefined {
    const secure = socket as Partial<TLSSocket>
    if (certificateRole === undefined || secure.authorized !== true) return undefined
    const { CN } = secure.getPeerCertificate?.().subject ?? {}
    return { name: [CN].flat()[0] ?? 'certificate', role: certificateRole, method: 'certificate' }
  }

  return {
    identify(request) {
      const who: Omit<Operator, 'address'> | undefined = open
        ? { name: 'local', role: 'operate', method: 'loopback' }
        : (byToken(request) ?? byCertificate(request))
      return who && { ...who, address: normaliseAddress(request.socket.remoteAddress ?? '') }
    },
    knows(hostHeader) {
      const name = hostnameIn(hostHeader)
      if (name === undefined) return false
      if (isIP(name) !== 0 || names.has(name)) return true
      return isLoopback(host) ? name === 'localhost' || name.endsWith('.localhost') : hosts.length === 0
    },
  }
}

/** Whether a page of another site made a browser send this; a browser says so. */
export function isFromAnotherSite({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  const { origin } = headers
  if (origin === undefined) return false
  return !URL.canParse(origin) || new URL(origin).host !== headers.host?.toLowerCase()
}

/** Without port and brackets. */
function hostnameIn(header: string | undefined): string | undefined {
  const url = `http://${header ?? ''}`
  if (!header || /[/?#@\\\s]/.test(header) || !URL.canParse(url)) return undefined
  return new URL(url).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
