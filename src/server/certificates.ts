/**
 * Client certificates as they are presented: in a handshake with us, or with a trusted proxy that
 * says so in `x-forwarded-client-cert`, in Envoy's form.
 */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { PresentedCertificate } from '../contract/request.ts'

const HEADER = 'x-forwarded-client-cert'

/** What is read of a connection; a socket has it. */
export interface ConnectionHead {
  readonly remoteAddress?: string | undefined
}

/**
 * @param byProxy - The connection is that of a trusted proxy: its own certificate is not the
 *   caller's, so what counts is what it forwards, or nothing.
 */
export function presentedCertificate(
  socket: ConnectionHead,
  headers: ReadonlyMap<string, string>,
  byProxy: boolean,
): PresentedCertificate | undefined {
  if (!byProxy) return 'encrypted' in socket ? ofConnection(socket as TLSSocket) : undefined
  const header = headers.get(HEADER)
  return header === undefined ? undefined : forwardedCertificate(header)
}

/** A connection has one for all its requests. */
const ofConnections = new WeakMap<TLSSocket, { readonly certificate: PresentedCertificate | undefined }>()

function ofConnection(socket: TLSSocket): PresentedCertificate | undefined {
  const known = ofConnections.get(socket)
  if (known) return known.certificate
  const x509 = socket.getPeerX509Certificate()
  const certificate = x509 && { ...factsOf(x509), verified: socket.authorized }
  ofConnections.set(socket, { certificate })
  return certificate
}

function factsOf(x509: X509Certificate): Omit<PresentedCertificate, 'verified'> {
  const names = alternativeNames(x509.subjectAltName ?? '')
  return {
    subject: distinguishedName(x509.subject),
    issuer: distinguishedName(x509.issuer),
    uris: names('URI'),
    dns: names('DNS'),
    emails: names('email'),
    serial: x509.serialNumber.toLowerCase(),
    fingerprint: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
  }
}

/** Node gives a line for each part, the widest first; RFC 4514 begins with the narrowest. */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? '').split('\n').filter(Boolean).reverse().join(',')
}

/** Node quotes as JSON what could be taken for two names. */
const ALTERNATIVE_NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g

function alternativeNames(text: string): (kind: string) => string[] {
  const names = [...text.matchAll(ALTERNATIVE_NAME)]
  return kind =>
    names
      .filter(([, of]) => of === kind)
      .map(([, , value = '']) => (value.startsWith('"') ? (JSON.parse(value) as string) : value))
}

/** Proxies forward few certificates, many times. */
const forwarded = new Map<string, PresentedCertificate>()
const MOST_FORWARDED = 1000

function forwardedCertificate(header: string): PresentedCertificate {
  const known = forwarded.get(header)
  if (known) return known
  const certificate = read(header)
  if (forwarded.size >= MOST_FORWARDED) forwarded.clear()
  forwarded.set(header, certificate)
  return certificate
}

const UNREADABLE: PresentedCertificate = {
  verified: false,
  subject: '',
  uris: [],
  dns: [],
  emails: [],
  issuer: null,
  serial: null,
  fingerprint: null,
  notBefore: null,
  notAfter: null,
}

/** The last element is what our own neighbour saw; those before it may be anybody's words. */
function read(header: string): PresentedCertificate {
  const fields = lastElement(header)
  if (!fields) return UNREADABLE
  const all = (name: string): string[] =>
    fields.filter(([key, value]) => key === name && value !== '').map(([, value]) => value)
  const [pem] = all('cert')
  try {
    if (pem !== undefined) return { ...factsOf(new X509Certificate(decodeURIComponent(pem))), verified: true }
  } catch {
    return UNREADABLE
  }
  return {
    ...UNREADABLE,
    verified: true,
    subject: all('subject')[0] ?? '',
    uris: all('uri'),
    dns: all('dns'),
    fingerprint: all('hash')[0]?.toLowerCase() ?? null,
  }
}

/** `Key=value` or `Key="value"`, up to a semicolon, a comma or the end. */
const FIELD = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^";,]*))([;,]|$)/y

/** @returns Its fields, names in lower case; undefined when the header is not in Envoy's form. */
function lastElement(header: string): [string, string][] | undefined {
  let fields: [string, string][] = []
  const text = header.trim()
  FIELD.lastIndex = 0
  for (;;) {
    const match = FIELD.exec(text)
    if (!match) return undefined
    const [, key = '', quoted, plain = '', end] = match
    fields.push([key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain])
    if (end === '') return fields
    if (end === ',') {
      fields = []
      while (text[FIELD.lastIndex] === ' ') FIELD.lastIndex++
    }
  }
}
