/**
 * What `check` says of the files that a config leads to, and `serve` as it starts: TLS certificates
 * that cannot be used or soon cannot, files that others can read or write who should not, and tokens
 * that are easily guessed.
 */

import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { createSecureContext } from 'node:tls'
import { secretsIn } from '../config/secrets.ts'
import { isUrl } from '../contract/addresses.ts'
import type { CertificateConfig } from '../contract/config/listeners.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { FindingCode } from '../contract/finding-meanings.ts'
import type { Finding } from '../contract/findings.ts'
import { shownPath } from './config.ts'

/** A certificate that ends sooner is worth a word. */
const SOON_DAYS = 14
const DAY_MS = 86_400_000

export function fileFindings(configFile: string, config: GatewayConfig, now: number): Finding[] {
  const listeners = [config.listen.tls, config.admin.tls].filter(tls => tls !== undefined)
  return [
    ...pairsOf(config).flatMap(pair => pairFindings(pair, now)),
    ...listeners.flatMap(({ clientCaFile }) =>
      clientCaFile === undefined ? [] : authorityFindings(clientCaFile),
    ),
    ...permissionFindings(configFile, config),
    ...tokenFindings(configFile, config),
  ]
}

/** Of both listeners and of the targets, each once. */
function pairsOf({ listen, admin, pools }: GatewayConfig): CertificateConfig[] {
  const shown = [listen.tls, admin.tls].flatMap(tls => (tls ? [tls, ...(tls.certificates ?? [])] : []))
  const own = Object.values(pools).flatMap(({ targets }) => targets.flatMap(({ tls }) => tls ?? []))
  const pairs = new Map<string, CertificateConfig>()
  for (const { certFile, keyFile } of [...shown, ...own])
    if (certFile !== undefined && keyFile !== undefined)
      pairs.set(`${certFile}\n${keyFile}`, { certFile, keyFile })
  return [...pairs.values()]
}

/** A shorter one can be found by trying. */
const SHORTEST_TOKEN = 16

function tokenFindings(configFile: string, { admin }: GatewayConfig): Finding[] {
  const tokens = [
    { name: 'admin.token', token: admin.token },
    ...admin.tokens.map(({ token }, index) => ({ name: `admin.tokens[${index}].token`, token })),
  ]
  return tokens
    .filter(({ token }) => token !== undefined && token.length < SHORTEST_TOKEN)
    .map(({ name }) =>
      finding(
        'warning',
        'short_admin_token',
        configFile,
        `${name}: shorter than ${SHORTEST_TOKEN} characters, it can be guessed`,
      ),
    )
}

function pairFindings({ certFile, keyFile }: CertificateConfig, now: number): Finding[] {
  const [cert, unreadableCert] = textOf(certFile)
  const [key, unreadableKey] = textOf(keyFile)
  if (cert === undefined || key === undefined) return [...unreadableCert, ...unreadableKey]
  let x509: X509Certificate
  try {
    x509 = new X509Certificate(cert)
  } catch {
    return [finding('error', 'tls_unreadable', certFile, 'this is no certificate in PEM')]
  }
  try {
    createSecureContext({ cert, key })
  } catch {
    return [finding('error', 'tls_key_mismatch', keyFile, `this is not the key of ${shownPath(certFile)}`)]
  }
  return lifeFindings(x509, certFile, now)
}

function lifeFindings(x509: X509Certificate, file: string, now: number): Finding[] {
  const ends = Date.parse(x509.validTo)
  if (ends <= now)
    return [finding('error', 'tls_expired', file, `the certificate expired on ${x509.validTo}`)]
  if (Date.parse(x509.validFrom) > now)
    return [
      finding('warning', 'tls_not_yet_valid', file, `the certificate is not valid before ${x509.validFrom}`),
    ]
  if (ends > now + SOON_DAYS * DAY_MS) return []
  return [finding('warning', 'tls_expires_soon', file, `the certificate expires on ${x509.validTo}`)]
}

function authorityFindings(file: string): Finding[] {
  const [text, unreadable] = textOf(file)
  if (text === undefined) return unreadable
  try {
    new X509Certificate(text)
    return []
  } catch {
    return [finding('error', 'tls_unreadable', file, 'this is no certificate in PEM')]
  }
}

function permissionFindings(configFile: string, config: GatewayConfig): Finding[] {
  const text = readFileSync(configFile, 'utf8')
  const holdsSecret = secretsIn(config).some(({ value }) => text.includes(JSON.stringify(value)))
  const folder = path.dirname(path.resolve(configFile))
  const named = [...text.matchAll(/\$\{file:([^}]+)\}/g)].map(([, name]) =>
    path.resolve(folder, String(name)),
  )
  const keys = pairsOf(config).map(({ keyFile }) => keyFile)
  const secret = [...new Set([...(holdsSecret ? [path.resolve(configFile)] : []), ...named, ...keys])]
  const trusted = [path.resolve(configFile), config.policy.path, apiKeysFile(config)]
  return [
    ...secret
      .filter(file => (modeOf(file) & OTHERS_READ) !== 0)
      .map(file => ({
        ...finding('warning', 'readable_by_others', file, 'this holds a secret, and everybody can read it'),
        hint: `chmod o-r ${shownPath(file)}`,
      })),
    ...trusted
      .filter(file => file !== undefined && !isUrl(file) && (modeOf(file) & OTHERS_WRITE) !== 0)
      .map(file => ({
        ...finding(
          'warning',
          'writable_by_others',
          file as string,
          'everybody can change what the gateway does',
        ),
        hint: `chmod o-w ${shownPath(file as string)}`,
      })),
  ]
}

const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002

/** Keys may be kept elsewhere than in a file. */
function apiKeysFile({ identity }: GatewayConfig): string | undefined {
  const { file } = identity.apiKeys as { readonly file?: string }
  return file
}

function modeOf(file: string): number {
  // Windows has no such bits, and says that all are set.
  if (process.platform === 'win32') return 0
  return statSync(file, { throwIfNoEntry: false })?.mode ?? 0
}

function textOf(file: string): [string | undefined, Finding[]] {
  try {
    return [readFileSync(file, 'utf8'), []]
  } catch (cause) {
    const { code = 'failed' } = cause as NodeJS.ErrnoException
    return [undefined, [finding('error', 'tls_unreadable', file, `cannot be read: ${code}`)]]
  }
}

function finding(severity: Finding['severity'], code: FindingCode, file: string, message: string): Finding {
  return { severity, code, message, file: shownPath(file), line: 0, column: 0 }
}
