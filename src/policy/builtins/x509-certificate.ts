/** X.509 certificate: one certificate, read, and as OPA shows it, which is Go's structure in JSON. */
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { contextTag, Der, malformed, TAG } from './der.ts'
import { fromNanos, UTC } from './go-calendar.ts'
import { formatTime } from './go-time-format.ts'
import { publicKeyFields, signatureAlgorithm } from './x509-keys.ts'
import {
  type AlternativeNames,
  alternativeNameFields,
  alternativeNames,
  constraintFields,
  type NameConstraints,
  nameConstraints,
  nameObject,
  oidValue,
  orNull,
} from './x509-names.ts'

export interface Extension {
  oid: number[]
  id: string
  critical: boolean
  value: Buffer
}

export interface Certificate {
  whole: Buffer
  tbs: Der
  version: number
  serial: bigint
  issuer: Der
  subject: Der
  /** Seconds since the epoch. */
  notBefore: number
  notAfter: number
  spki: Der
  signatureAlgorithm: number
  signature: Buffer
  extensions: Extension[]
  names: AlternativeNames
  permitted: NameConstraints
  excluded: NameConstraints
  /** Undefined: it does not say whether it is an authority. */
  basic: { isAuthority: boolean; pathLength: number } | undefined
  /** Bits as in Go's `x509.KeyUsage`; 0: it does not say. */
  keyUsage: number
  extendedUsages: string[]
}

const ID = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basic: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  crlPoints: '2.5.29.31',
  policies: '2.5.29.32',
  authorityKey: '2.5.29.35',
  extendedUsage: '2.5.29.37',
  authorityAccess: '1.3.6.1.5.5.7.1.1',
} as const
const HANDLED: readonly string[] = Object.values(ID)

/** @throws BuiltinError */
export function readCertificate(der: Der): Certificate {
  const [tbs, algorithm, signature] = der.expect(TAG.sequence).children()
  if (!tbs || !algorithm || !signature) throw malformed()
  const parts = tbs.expect(TAG.sequence).children()
  const version =
    parts[0]?.tag === contextTag(0) ? Number(Der.read(parts.shift()?.content as Buffer).integer()) + 1 : 1
  const [serial, , issuer, validity, subject, spki, ...optional] = parts
  const [notBefore, notAfter] = validity?.children() ?? []
  if (!serial || !issuer || !subject || !spki || !notBefore || !notAfter) throw malformed()
  const extensions = extensionsIn(optional.find(({ tag }) => tag === contextTag(3)))
  const extension = (id: string) => {
    const found = extensions.find(candidate => candidate.id === id)
    return found && Der.read(found.value)
  }
  const constraints = extension(ID.nameConstraints)?.children() ?? []
  const general = extension(ID.alternativeNames)
  return {
    whole: der.whole,
    tbs,
    version,
    serial: serial.integer(),
    issuer,
    subject,
    notBefore: notBefore.time(),
    notAfter: notAfter.time(),
    spki,
    signatureAlgorithm: signatureAlgorithm(algorithm),
    signature: signature.bits(),
    extensions,
    names: general ? alternativeNames(general) : { dns: [], emails: [], addresses: [], uris: [] },
    permitted: nameConstraints(constraints.find(({ tag }) => tag === contextTag(0))),
    excluded: nameConstraints(constraints.find(({ tag }) => tag === contextTag(1))),
    basic: basicConstraints(extension(ID.basic)),
    keyUsage: usageBits(extension(ID.keyUsage)),
    extendedUsages: (extension(ID.extendedUsage)?.children() ?? []).map(usage => usage.oid().join('.')),
  }
}

export function extensionsIn(wrapper: Der | undefined): Extension[] {
  return (wrapper?.children()[0]?.children() ?? []).map(entry => {
    const [id, ...rest] = entry.children()
    const value = rest.at(-1)
    if (!id || !value) throw malformed()
    const oid = id.oid()
    return {
      oid,
      id: oid.join('.'),
      critical: rest.length > 1 && (rest[0] as Der).boolean(),
      value: value.octets(),
    }
  })
}

export function extensionValues(extensions: readonly Extension[]): Value {
  return orNull(
    extensions.map(({ oid, critical, value }) =>
      RegoObject.of({ Id: oidValue(oid), Critical: critical, Value: value.toString('base64') }),
    ),
  )
}

function basicConstraints(sequence: Der | undefined): Certificate['basic'] {
  if (!sequence) return undefined
  const fields = sequence.children()
  const isAuthority = fields[0]?.tag === TAG.boolean && fields[0].boolean()
  const length = fields.find(({ tag }) => tag === TAG.integer)
  return { isAuthority, pathLength: length ? Number(length.integer()) : -1 }
}

/** The first bit of the bit string is the lowest here. */
function usageBits(bits: Der | undefined): number {
  const bytes = bits?.bits() ?? Buffer.alloc(0)
  let usage = 0
  for (let bit = 0; bit < 9; bit++) {
    if (((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) usage |= 1 << bit
  }
  return usage
}

/** Go's numbers for what a key may be used for, by their object identifiers. */
export const EXTENDED_USAGES: Readonly<Record<string, number>> = {
  '2.5.29.37.0': 0,
  '1.3.6.1.5.5.7.3.1': 1,
  '1.3.6.1.5.5.7.3.2': 2,
  '1.3.6.1.5.5.7.3.3': 3,
  '1.3.6.1.5.5.7.3.4': 4,
  '1.3.6.1.5.5.7.3.5': 5,
  '1.3.6.1.5.5.7.3.6': 6,
  '1.3.6.1.5.5.7.3.7': 7,
  '1.3.6.1.5.5.7.3.8': 8,
  '1.3.6.1.5.5.7.3.9': 9,
  '1.3.6.1.4.1.311.10.3.3': 10,
  '2.16.840.1.113730.4.1': 11,
  '1.3.6.1.4.1.311.2.1.22': 12,
  '1.3.6.1.4.1.311.61.1.1': 13,
}

export function unhandledCritical({ extensions }: Certificate): Extension[] {
  return extensions.filter(({ critical, id }) => critical && !HANDLED.includes(id))
}

export function certificateValue(certificate: Certificate, withUriTexts: boolean): RegoObject {
  const { tbs, extensions, names, basic } = certificate
  const usages = certificate.extendedUsages
  return RegoObject.of({
    Raw: certificate.whole.toString('base64'),
    RawTBSCertificate: tbs.whole.toString('base64'),
    RawSubjectPublicKeyInfo: certificate.spki.whole.toString('base64'),
    RawSubject: certificate.subject.whole.toString('base64'),
    RawIssuer: certificate.issuer.whole.toString('base64'),
    Signature: certificate.signature.toString('base64'),
    SignatureAlgorithm: RegoNumber.of(certificate.signatureAlgorithm),
    ...publicKeyFields(certificate.spki),
    Version: RegoNumber.of(certificate.version),
    SerialNumber: RegoNumber.of(certificate.serial),
    Issuer: nameObject(certificate.issuer),
    Subject: nameObject(certificate.subject),
    NotBefore: timeText(certificate.notBefore),
    NotAfter: timeText(certificate.notAfter),
    KeyUsage: RegoNumber.of(certificate.keyUsage),
    Extensions: extensionValues(extensions),
    ExtraExtensions: null,
    UnhandledCriticalExtensions: orNull(unhandledCritical(certificate).map(({ oid }) => oidValue(oid))),
    ExtKeyUsage: orNull(usages.flatMap(id => EXTENDED_USAGES[id] ?? []).map(RegoNumber.of)),
    UnknownExtKeyUsage: orNull(
      usages.filter(id => !(id in EXTENDED_USAGES)).map(id => oidValue(id.split('.').map(Number))),
    ),
    BasicConstraintsValid: basic !== undefined,
    IsCA: basic?.isAuthority ?? false,
    MaxPathLen: RegoNumber.of(basic?.pathLength ?? 0),
    MaxPathLenZero: basic?.pathLength === 0,
    ...identifierFields(extensions),
    ...alternativeNameFields(names),
    PermittedDNSDomainsCritical: extensions.some(({ id, critical }) => id === ID.nameConstraints && critical),
    ...constraintFields('Permitted', certificate.permitted),
    ...constraintFields('Excluded', certificate.excluded),
    ...(withUriTexts ? { URIStrings: orNull(names.uris) } : {}),
  })
}

function timeText(seconds: number): string {
  return formatTime(fromNanos(BigInt(seconds) * 1_000_000_000n), UTC, '2006-01-02T15:04:05Z07:00')
}

/** Key identifiers, and where to find an issuer's certificate, its revocations and policies. */
function identifierFields(extensions: readonly Extension[]): Record<string, Value> {
  const children = (id: string) => {
    const extension = extensions.find(candidate => candidate.id === id)
    return extension ? Der.read(extension.value).children() : []
  }
  const subjectKey = extensions.find(({ id }) => id === ID.subjectKey)
  const authorityKey = children(ID.authorityKey).find(({ tag }) => tag === contextTag(0, false))
  const access = (method: string) =>
    children(ID.authorityAccess)
      .map(entry => entry.children())
      .filter(([id, location]) => id?.oid().join('.') === method && location?.tag === contextTag(6, false))
      .map(([, location]) => (location as Der).content.toString('latin1'))
  const policies = children(ID.policies).map(policy => (policy.children()[0] ?? policy).oid())
  const points = children(ID.crlPoints).flatMap(point => {
    const fullName = point
      .children()
      .find(({ tag }) => tag === contextTag(0))
      ?.children()[0]
    return (fullName?.children() ?? [])
      .filter(({ tag }) => tag === contextTag(6, false))
      .map(({ content }) => content.toString('latin1'))
  })
  return {
    SubjectKeyId: subjectKey ? Der.read(subjectKey.value).octets().toString('base64') : null,
    AuthorityKeyId: authorityKey ? authorityKey.content.toString('base64') : null,
    OCSPServer: orNull(access('1.3.6.1.5.5.7.48.1')),
    IssuingCertificateURL: orNull(access('1.3.6.1.5.5.7.48.2')),
    CRLDistributionPoints: orNull(points),
    PolicyIdentifiers: orNull(policies.map(oidValue)),
    Policies: orNull(policies.map(oid => oid.join('.'))),
  }
}
