/** X.509 names: subjects, and what a certificate is for, as Go's structures show them. */
import { RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { addressText } from './addresses.ts'
import { contextTag, type Der, malformed } from './der.ts'
import { parseUrl, urlObject } from './go-url.ts'

export function oidValue(oid: readonly number[]): Value {
  return oid.map(RegoNumber.of)
}

/** Where an attribute of a name stands in Go's `pkix.Name`. */
const NAME_LISTS: Record<string, string> = {
  '2.5.4.6': 'Country',
  '2.5.4.10': 'Organization',
  '2.5.4.11': 'OrganizationalUnit',
  '2.5.4.7': 'Locality',
  '2.5.4.8': 'Province',
  '2.5.4.9': 'StreetAddress',
  '2.5.4.17': 'PostalCode',
}
const NAME_TEXTS: Record<string, string> = { '2.5.4.3': 'CommonName', '2.5.4.5': 'SerialNumber' }

export function nameObject(name: Der): RegoObject {
  const fields: Record<string, Value> = { CommonName: '', SerialNumber: '', ExtraNames: null }
  for (const list of Object.values(NAME_LISTS)) fields[list] = null
  const names = name
    .children()
    .flatMap(set => set.children())
    .map(attribute => {
      const [type, value] = attribute.children()
      if (!type || !value) throw malformed()
      const oid = type.oid()
      const text = value.text()
      const list = NAME_LISTS[oid.join('.')]
      const single = NAME_TEXTS[oid.join('.')]
      if (list) fields[list] = [...((fields[list] as Value[] | null) ?? []), text]
      if (single) fields[single] = text
      return RegoObject.of({ Type: oidValue(oid), Value: text })
    })
  return RegoObject.of({ ...fields, Names: names.length > 0 ? names : null })
}

/** What a subjectAltName says; lists that are empty are absent in Go. */
export interface AlternativeNames {
  dns: string[]
  emails: string[]
  addresses: string[]
  uris: string[]
}

const GENERAL = {
  email: contextTag(1, false),
  dns: contextTag(2, false),
  uri: contextTag(6, false),
  ip: contextTag(7, false),
}

export function alternativeNames(sequence: Der): AlternativeNames {
  const names = sequence.children()
  const texts = (tag: number) =>
    names.filter(name => name.tag === tag).map(name => name.content.toString('latin1'))
  const addresses = names.filter(({ tag }) => tag === GENERAL.ip).map(({ content }) => addressOf(content))
  return { dns: texts(GENERAL.dns), emails: texts(GENERAL.email), addresses, uris: texts(GENERAL.uri) }
}

function addressOf(bytes: Buffer): string {
  if (bytes.length !== 4 && bytes.length !== 16) throw malformed()
  return addressText({ bits: bytes.length === 4 ? 32 : 128, value: BigInt(`0x${bytes.toString('hex')}`) })
}

export function alternativeNameFields({
  dns,
  emails,
  addresses,
  uris,
}: AlternativeNames): Record<string, Value> {
  return {
    DNSNames: orNull(dns),
    EmailAddresses: orNull(emails),
    IPAddresses: orNull(addresses),
    URIs: orNull(uris.map(uri => urlObject(parseUrl(uri)))),
  }
}

export function orNull(list: readonly Value[]): Value {
  return list.length > 0 ? [...list] : null
}

/** Which names a certificate authority may certify, and which not. */
export interface NameConstraints {
  dns: string[]
  emails: string[]
  uris: string[]
  networks: { address: string; mask: Buffer }[]
}

export function nameConstraints(subtrees: Der | undefined): NameConstraints {
  const names = (subtrees?.children() ?? [])
    .map(subtree => subtree.children()[0])
    .filter(name => name !== undefined)
  const texts = (tag: number) =>
    names.filter(name => name.tag === tag).map(name => name.content.toString('latin1'))
  const networks = names
    .filter(({ tag }) => tag === GENERAL.ip)
    .map(({ content }) => {
      const half = content.length / 2
      return { address: addressOf(content.subarray(0, half)), mask: content.subarray(half) }
    })
  return { dns: texts(GENERAL.dns), emails: texts(GENERAL.email), uris: texts(GENERAL.uri), networks }
}

export function constraintFields(
  which: 'Permitted' | 'Excluded',
  constraints: NameConstraints,
): Record<string, Value> {
  return {
    [`${which}DNSDomains`]: orNull(constraints.dns),
    [`${which}EmailAddresses`]: orNull(constraints.emails),
    [`${which}URIDomains`]: orNull(constraints.uris),
    [`${which}IPRanges`]: orNull(
      constraints.networks.map(({ address, mask }) =>
        RegoObject.of({ IP: address, Mask: mask.toString('base64') }),
      ),
    ),
  }
}
