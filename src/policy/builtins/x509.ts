/** crypto.x509.* and crypto.parse_private_keys: certificates, requests, key pairs and chains. */
import { type KeyObject, X509Certificate } from 'node:crypto'
import { RegoNumber, RegoObject, RegoSet, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, object, string } from './builtin.ts'
import { contextTag, Der, malformed, TAG } from './der.ts'
import { base64, firstPem, pemBlocks } from './pem.ts'
import {
  type Certificate,
  certificateValue,
  extensionsIn,
  extensionValues,
  readCertificate,
} from './x509-certificate.ts'
import { type ChainOptions, verifiedChain } from './x509-chain.ts'
import {
  privateKeyOf,
  privateKeys,
  privateKeyValue,
  publicKeyFields,
  sequenceOf,
  signatureAlgorithm,
  webKeyValue,
} from './x509-keys.ts'
import { alternativeNameFields, alternativeNames, nameObject, oidValue } from './x509-names.ts'

export const x509: Builtins = {
  'crypto.x509.parse_certificates': operands =>
    certificates(string(operands, 0)).map(one => certificateValue(one, true)),
  'crypto.x509.parse_and_verify_certificates': (operands, { nowNs }) =>
    verified(string(operands, 0), { at: seconds(nowNs), dnsName: '', usages: [] }, true),
  'crypto.x509.parse_and_verify_certificates_with_options': (operands, { nowNs }) => {
    const text = string(operands, 0)
    return verified(text, chainOptions(object(operands, 1), nowNs), false)
  },
  'crypto.x509.parse_certificate_request': operands => requestValue(requestBytes(string(operands, 0))),
  'crypto.x509.parse_keypair': operands => keyPair(string(operands, 0), string(operands, 1)),
  'crypto.x509.parse_rsa_private_key': operands => {
    const text = string(operands, 0)
    if (text === '') throw new BuiltinError('input PEM data was empty')
    const [key] = privateKeys(
      pemBlocks(text.startsWith('-----BEGIN') ? text : base64(text).toString('latin1')),
    )
    return key ? webKeyValue(key) : null
  },
  'crypto.parse_private_keys': operands => {
    const text = string(operands, 0)
    return text === '' ? null : privateKeys(pemBlocks(orBase64(text))).map(privateKeyValue)
  },
}

function seconds(ns: bigint): number {
  return Number(ns / 1_000_000_000n)
}

/** PEM, or PEM or DER in base64. */
function certificates(text: string): Certificate[] {
  if (text.startsWith('-----BEGIN')) return pemCertificates(text)
  const bytes = base64(text)
  if (bytes.toString('latin1', 0, 10) === '-----BEGIN') return pemCertificates(bytes.toString('latin1'))
  return sequenceOf(bytes).map(readCertificate)
}

function pemCertificates(text: string): Certificate[] {
  return pemBlocks(text).flatMap(({ type, bytes }) => {
    if (type !== 'CERTIFICATE') throw new BuiltinError(`PEM block type is '${type}', expected CERTIFICATE`)
    return sequenceOf(bytes).map(readCertificate)
  })
}

function verified(text: string, options: ChainOptions, withUriTexts: boolean): Value {
  try {
    const chain = verifiedChain(certificates(text), options)
    if (chain) return [true, chain.map(one => certificateValue(one, withUriTexts))]
  } catch (cause) {
    if (!(cause instanceof BuiltinError)) throw cause
  }
  return [false, []]
}

const USAGES = [
  'Any',
  'ServerAuth',
  'ClientAuth',
  'CodeSigning',
  'EmailProtection',
  'IPSECEndSystem',
  'IPSECTunnel',
  'IPSECUser',
  'TimeStamping',
  'OCSPSigning',
  'MicrosoftServerGatedCrypto',
  'NetscapeServerGatedCrypto',
  'MicrosoftCommercialCodeSigning',
  'MicrosoftKernelCodeSigning',
].map(name => `KeyUsage${name}`)

function chainOptions(given: RegoObject, nowNs: bigint): ChainOptions {
  const options = { at: seconds(nowNs), dnsName: '', usages: [] as number[] }
  for (const [name, value] of given) {
    if (name === 'DNSName') options.dnsName = string([value], 0)
    else if (name === 'CurrentTime') options.at = seconds(wholeNumber(value, name))
    else if (name === 'MaxConstraintComparisons') wholeNumber(value, name)
    else if (name === 'KeyUsages') options.usages = usageNumbers(value)
    else throw new BuiltinError('invalid key option')
  }
  return options
}

function wholeNumber(value: Value, name: string): bigint {
  const whole = value instanceof RegoNumber ? value.toBigInt() : undefined
  if (whole === undefined) throw new BuiltinError(`'${name}' should be a valid number`)
  return whole
}

function usageNumbers(value: Value): number[] {
  if (!Array.isArray(value) && !(value instanceof RegoSet))
    throw new BuiltinError("'KeyUsages' should be an Array or Set")
  return [...value]
    .filter(name => typeof name === 'string')
    .map(name => {
      const number = USAGES.indexOf(name)
      if (number < 0) throw new BuiltinError(`invalid entries for 'KeyUsages' found: ${name}`)
      return number
    })
}

function requestBytes(text: string): Buffer {
  const label = '-----BEGIN CERTIFICATE REQUEST-----'
  const bytes = text.startsWith(label) ? Buffer.from(text) : base64(text)
  const block = firstPem(bytes.toString('latin1'))?.block
  if (!block) return bytes
  if (block.type !== 'CERTIFICATE REQUEST')
    throw new BuiltinError('invalid PEM-encoded certificate signing request')
  return block.bytes
}

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const ALTERNATIVE_NAMES = '2.5.29.17'

function requestValue(bytes: Buffer): RegoObject {
  const whole = Der.read(bytes)
  const [info, algorithm, signature] = whole.expect(TAG.sequence).children()
  const [version, subject, spki, attributes] = info?.children() ?? []
  if (!info || !algorithm || !signature || !version || !subject || !spki) throw malformed()
  const requested = (attributes?.tag === contextTag(0) ? attributes.children() : []).map(attribute => {
    const [type, values] = attribute.children()
    if (!type || !values) throw malformed()
    return { oid: type.oid(), values }
  })
  const extensions = requested
    .filter(({ oid }) => oid.join('.') === EXTENSION_REQUEST)
    .flatMap(({ values }) => extensionsIn(values))
  const names = extensions.find(({ id }) => id === ALTERNATIVE_NAMES)
  return RegoObject.of({
    Raw: whole.whole.toString('base64'),
    RawTBSCertificateRequest: info.whole.toString('base64'),
    RawSubjectPublicKeyInfo: spki.whole.toString('base64'),
    RawSubject: subject.whole.toString('base64'),
    Version: RegoNumber.of(version.integer()),
    Signature: signature.bits().toString('base64'),
    SignatureAlgorithm: RegoNumber.of(signatureAlgorithm(algorithm)),
    ...publicKeyFields(spki),
    Subject: nameObject(subject),
    Attributes: attributeValues(requested),
    Extensions: extensionValues(extensions),
    ExtraExtensions: null,
    ...alternativeNameFields(
      names ? alternativeNames(Der.read(names.value)) : { dns: [], emails: [], addresses: [], uris: [] },
    ),
  })
}

/** Go keeps the attributes that are lists of lists of pairs: in truth, the requested extensions. */
function attributeValues(requested: readonly { oid: number[]; values: Der }[]): Value {
  const shown = requested
    .filter(({ oid }) => oid.join('.') === EXTENSION_REQUEST)
    .map(({ oid, values }) => {
      const pairs = extensionsIn(values).filter(({ critical }) => !critical)
      const inner = pairs.map(pair =>
        RegoObject.of({ Type: oidValue(pair.oid), Value: pair.value.toString('base64') }),
      )
      return RegoObject.of({ Type: oidValue(oid), Value: [inner] })
    })
  return shown.length > 0 ? shown : null
}

/** @throws BuiltinError when the key is not the first certificate's */
function keyPair(certificateText: string, keyText: string): RegoObject {
  const chain = certificateBlocks(orBase64Pem(certificateText))
  const [leaf] = chain
  if (!leaf) throw new BuiltinError('tls: failed to find any PEM data in certificate input')
  const key = keyIn(orBase64Pem(keyText))
  if (!new X509Certificate(leaf).checkPrivateKey(key))
    throw new BuiltinError('tls: private key does not match public key')
  return RegoObject.of({
    Certificate: chain.map(bytes => bytes.toString('base64')),
    PrivateKey: privateKeyValue(key),
    SupportedSignatureAlgorithms: null,
    OCSPStaple: null,
    SignedCertificateTimestamps: null,
    Leaf: null,
  })
}

function certificateBlocks(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1')
  const found = text.startsWith('-----BEGIN ')
    ? pemBlocks(text)
        .filter(({ type }) => type === 'CERTIFICATE')
        .map(block => block.bytes)
    : [bytes]
  for (const certificate of found) readCertificate(Der.read(certificate))
  return found
}

function keyIn(bytes: Buffer): KeyObject {
  const text = bytes.toString('latin1')
  const [key] = text.startsWith('-----BEGIN') ? privateKeys(pemBlocks(text)) : [privateKeyOf(bytes, 'pkcs8')]
  if (!key) throw new BuiltinError('tls: failed to find any PEM data in key input')
  return key
}

function orBase64Pem(text: string): Buffer {
  return text.startsWith('-----BEGIN ') ? Buffer.from(text) : base64(text)
}

/** Base64 of PEM, or PEM. */
function orBase64(text: string): string {
  try {
    return base64(text).toString('latin1')
  } catch {
    return text
  }
}
