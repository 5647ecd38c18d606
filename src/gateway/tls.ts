/**
 * What the public listener is opened with. The files of TLS: read when the gateway starts, and again when they change. A pair that does not
 * fit, as when only one of two files was replaced yet, changes nothing.
 */
import { readFileSync } from 'node:fs'
import type { CertificateConfig, ClientTimeouts, TlsConfig } from '../contract/config/listeners.ts'
import { parseDuration } from '../contract/units.ts'
import type { ClientTimeouts as ClientTimeoutsMs } from '../server/public-listener.ts'
import { type CertificatePair, contextsOf, type TlsMaterial } from '../server/tls-options.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { type Watcher, watchPath } from '../watcher.ts'

/** @throws Error when a file cannot be read, or the key is not that of the certificate. */
export function readTls(config: TlsConfig): TlsMaterial {
  const material = materialIn(config)
  contextsOf(material)
  return material
}

function materialIn({ certFile, keyFile, clientCaFile, certificates = [] }: TlsConfig): TlsMaterial {
  return {
    certificates: [pairIn({ certFile, keyFile }), ...certificates.map(pairIn)],
    ca: clientCaFile === undefined ? undefined : readFileSync(clientCaFile, 'utf8'),
  }
}

function pairIn({ certFile, keyFile }: CertificateConfig): CertificatePair {
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

export function clientTimeouts({ headers, body, idle, stalled }: ClientTimeouts): ClientTimeoutsMs {
  return {
    headers: parseDuration(headers),
    body: parseDuration(body),
    idle: parseDuration(idle),
    stalled: parseDuration(stalled),
  }
}

/** How long browsers are told to stay with TLS, if at all. */
export function hstsSeconds(config: TlsConfig | undefined): number | undefined {
  return config?.hsts === undefined ? undefined : Math.floor(parseDuration(config.hsts) / 1000)
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
      renew(material)
      log.info('tls_loaded')
    } catch (error) {
      const { message } = error as Error
      text ||= message
      if (text !== seen) log.error('tls_refused', { message })
    }
    seen = text
  }
  const { clientCaFile, certificates = [] } = config
  const files = [config, ...certificates].flatMap(({ certFile, keyFile }) => [certFile, keyFile])
  if (clientCaFile !== undefined) files.push(clientCaFile)
  const watchers = files.map(file => watchPath(file, look))
  return { close: async () => void (await Promise.all(watchers.map(watcher => watcher.close()))) }
}
