/**
 * The files of TLS: read when the gateway starts, and again when they change. A pair that does not
 * fit, as when only one of two files was replaced yet, changes nothing.
 */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { TlsConfig } from '../contract/config/listeners.ts'
import type { TlsMaterial } from '../server/public-listener.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { type Watcher, watchPath } from '../watcher.ts'

/** @throws Error when a file cannot be read, or the key is not that of the certificate. */
export function readTls(config: TlsConfig): TlsMaterial {
  const material = materialIn(config)
  createSecureContext(material)
  return material
}

function materialIn({ certFile, keyFile, clientCaFile }: TlsConfig): TlsMaterial {
  return {
    cert: readFileSync(certFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
    ca: clientCaFile === undefined ? undefined : readFileSync(clientCaFile, 'utf8'),
  }
}

/** @param renew - Given what the files hold, when that is something else than before. */
export function watchTls(
  config: TlsConfig,
  first: TlsMaterial,
  log: OperatorLog,
  renew: (material: TlsMaterial) => void,
): Watcher {
  let seen = JSON.stringify(first)
  const look = (): void => {
    let text = ''
    try {
      const material = materialIn(config)
      text = JSON.stringify(material)
      if (text === seen) return
      createSecureContext(material)
      renew(material)
      log.info('tls_loaded')
    } catch (error) {
      const { message } = error as Error
      text ||= message
      if (text !== seen) log.error('tls_refused', { message })
    }
    seen = text
  }
  const { certFile, keyFile, clientCaFile } = config
  const files = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
  const watchers = files.map(file => watchPath(file, look))
  return { close: async () => void (await Promise.all(watchers.map(watcher => watcher.close()))) }
}
