/**
 * An origin: where a target is reached and how it is known, and so which connections it may share.
 */
import type { Target, TargetTls } from './target.ts'

export type Origin = Pick<Target, 'url' | 'tls'>

/** A connection is not used again after this: a name that leads elsewhere now is followed by then. */
export const OLDEST_CONNECTION_MS = 60_000

const keys = new WeakMap<Origin, string>()

/** Connections are shared by what reaches the same server in the same way. */
export function originKey(origin: Origin): string {
  const known = keys.get(origin)
  if (known !== undefined) return known
  const key = origin.tls ? JSON.stringify([origin.url.href, origin.tls]) : origin.url.href
  keys.set(origin, key)
  return key
}

/** As Node's `tls.connect` takes them. */
export interface TlsOptions {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

export function tlsOptions(tls: TargetTls | undefined): TlsOptions {
  if (!tls) return {}
  const { ca, cert, key, serverName } = tls
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
