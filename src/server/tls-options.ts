/**
 * TLS of the public listener: which certificate a client is shown, and what it may be encrypted with.
 *
 * HTTP/1.1 only. Node's HTTP/2 has requests and responses of its own, which Express and the corridor
 * would need a second way for; a proxy in front can speak it (docs/security.md).
 */
import { X509Certificate } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'

/** PEM. */
export interface TlsMaterial {
  /** The first is shown to who asks for no name, or for one that none is for. */
  readonly certificates: readonly [CertificatePair, ...CertificatePair[]]
  /** Who signs client certificates; without it nobody is asked for one. */
  readonly ca: string | undefined
}

export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

/** TLS 1.2 with forward secrecy and authenticated encryption, and all of TLS 1.3. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const HANDSHAKE_MS = 10_000

export interface TlsDoor {
  readonly options: ServerOptions
  /** @returns What connections without a name get from now on. @throws when a pair does not fit. */
  renew(material: TlsMaterial): SecureContextOptions
}

/** @throws when a pair does not fit, or a file holds no certificate. */
export function createTlsDoor(material: TlsMaterial): TlsDoor {
  let named = contextsOf(material)
  return {
    options: {
      ...contextOptions(material.certificates[0], material.ca),
      ALPNProtocols: ['http/1.1'],
      requestCert: material.ca !== undefined,
      // A certificate that cannot be verified is answered 401, which tells more than a broken handshake.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      SNICallback: (name, done) =>
        done(null, (named.find(({ x509 }) => x509.checkHost(name) !== undefined) ?? named[0])?.context),
    },
    renew(next) {
      named = contextsOf(next)
      return contextOptions(next.certificates[0], next.ca)
    },
  }
}

/** @throws when a pair does not fit. */
export function contextsOf({
  certificates,
  ca,
}: TlsMaterial): { readonly x509: X509Certificate; readonly context: SecureContext }[] {
  return certificates.map(pair => ({
    x509: new X509Certificate(pair.cert),
    context: createSecureContext(contextOptions(pair, ca)),
  }))
}

function contextOptions({ cert, key }: CertificatePair, ca: string | undefined): SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2', ciphers: CIPHERS }
}
