/**
 * Target TLS: the files that tell how an https target is known, and the gateway to it.
 */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { TargetTlsConfig } from '../contract/config/pools.ts'
import type { TargetTls } from './target.ts'

/** @throws Error when a file cannot be read, or the key is not that of the certificate. */
export function readTargetTls({ caFile, certFile, keyFile, serverName }: TargetTlsConfig): TargetTls {
  const read = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : readFileSync(file, 'utf8')
  const tls = { ca: read(caFile), cert: read(certFile), key: read(keyFile), serverName }
  createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key })
  return tls
}
