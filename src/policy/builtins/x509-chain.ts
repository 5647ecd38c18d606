/**
 * X.509 chain: from a leaf over authorities to a root that is trusted, checked as Go's `Certificate.Verify`
 * checks it: names, times, signatures, what each may be used for, and how long the chain may be.
 */
import { X509Certificate } from 'node:crypto'
import { contains, mask, networkOf, parseAddress } from './addresses.ts'
import { type Certificate, EXTENDED_USAGES, unhandledCritical } from './x509-certificate.ts'
import type { NameConstraints } from './x509-names.ts'

export interface ChainOptions {
  /** Seconds since the epoch. */
  at: number
  /** Empty: not asked. */
  dnsName: string
  /** Go's numbers; any of them will do, and 0 is any. */
  usages: readonly number[]
}

const SIGN_CERTIFICATES = 1 << 5
/** MD2, MD5, SHA-1: signatures that prove nothing any more. */
const BROKEN_SIGNATURES = [0, 1, 2, 3, 7, 9]
const LONGEST_CHAIN = 100
/** As in Go: authorities that have all signed each other make more chains than can be tried. */
const MOST_SIGNATURES = 100

/** @param certificates - The root first, the leaf last. @returns the chain, leaf first, or undefined. */
export function verifiedChain(
  certificates: readonly Certificate[],
  options: ChainOptions,
): Certificate[] | undefined {
  if (certificates.length < 2) return undefined
  const root = certificates[0] as Certificate
  const leaf = certificates.at(-1) as Certificate
  if (!isValid(leaf, [], options, 'leaf')) return undefined
  if (options.dnsName !== '' && !hasHost(leaf, options.dnsName)) return undefined
  if (leaf.whole.equals(root.whole)) return permitsUsages([leaf], options.usages) ? [leaf] : undefined
  const search = { root, middle: certificates.slice(1, -1), options, signatures: 0 }
  return extend([leaf], search)
}

interface Search {
  readonly root: Certificate
  readonly middle: readonly Certificate[]
  readonly options: ChainOptions
  /** Checked so far. */
  signatures: number
}

function extend(chain: Certificate[], search: Search): Certificate[] | undefined {
  const { root, middle, options } = search
  const last = chain.at(-1) as Certificate
  if (isIssuedBy(last, root, search) && isValid(root, chain, options, 'root')) {
    const whole = [...chain, root]
    if (permitsUsages(whole, options.usages)) return whole
  }
  if (chain.length >= LONGEST_CHAIN) return undefined
  for (const next of middle) {
    if (chain.some(({ whole }) => whole.equals(next.whole))) continue
    if (!isIssuedBy(last, next, search) || !isValid(next, chain, options, 'intermediate')) continue
    const found = extend([...chain, next], search)
    if (found) return found
  }
  return undefined
}

function isIssuedBy(child: Certificate, parent: Certificate, search: Search): boolean {
  if (!child.issuer.whole.equals(parent.subject.whole)) return false
  if (parent.version === 3 ? !parent.basic?.isAuthority : parent.basic && !parent.basic.isAuthority)
    return false
  if (parent.keyUsage !== 0 && (parent.keyUsage & SIGN_CERTIFICATES) === 0) return false
  if (BROKEN_SIGNATURES.includes(child.signatureAlgorithm)) return false
  if (++search.signatures > MOST_SIGNATURES) return false
  try {
    return new X509Certificate(child.whole).verify(new X509Certificate(parent.whole).publicKey)
  } catch {
    return false
  }
}

type Role = 'leaf' | 'intermediate' | 'root'

function isValid(
  certificate: Certificate,
  below: readonly Certificate[],
  { at }: ChainOptions,
  role: Role,
): boolean {
  if (unhandledCritical(certificate).length > 0) return false
  if (at < certificate.notBefore || at > certificate.notAfter) return false
  if (role === 'intermediate' && !certificate.basic?.isAuthority) return false
  const length = certificate.basic?.pathLength ?? -1
  if (length >= 0 && below.length - 1 > length) return false
  return role === 'leaf' || below.every(lower => namesPermitted(lower, certificate))
}

/** Each certificate above the leaf can only narrow what the leaf may be used for. */
function permitsUsages(chain: readonly Certificate[], wanted: readonly number[]): boolean {
  const asked = wanted.length === 0 ? [1] : wanted
  if (asked.includes(0)) return true
  return asked.some(usage =>
    chain.every(({ extendedUsages }) => {
      const numbers = extendedUsages.map(id => EXTENDED_USAGES[id])
      return extendedUsages.length === 0 || numbers.includes(0) || numbers.includes(usage)
    }),
  )
}

function namesPermitted({ names }: Certificate, { permitted, excluded }: Certificate): boolean {
  const checks: [
    readonly string[],
    (constraints: NameConstraints) => readonly string[],
    (name: string, limit: string) => boolean,
  ][] = [
    [names.dns, ({ dns }) => dns, domainWithin],
    [names.emails, ({ emails }) => emails, emailWithin],
    [names.uris.map(hostOf), ({ uris }) => uris, uriHostWithin],
    [
      names.addresses,
      ({ networks }) => networks.map(({ address, mask: bits }) => `${address}/${prefixOf(bits)}`),
      addressWithin,
    ],
  ]
  return checks.every(([all, limitsOf, within]) => {
    const [allowed, refused] = [limitsOf(permitted), limitsOf(excluded)]
    return all.every(
      name =>
        !refused.some(limit => within(name, limit)) &&
        (allowed.length === 0 || allowed.some(limit => within(name, limit))),
    )
  })
}

function domainWithin(name: string, limit: string): boolean {
  const [domain, suffix] = [name.toLowerCase(), limit.toLowerCase()]
  if (suffix === '') return true
  if (suffix.startsWith('.')) return domain.endsWith(suffix)
  return domain === suffix || domain.endsWith(`.${suffix}`)
}

function uriHostWithin(host: string, limit: string): boolean {
  if (host === '' || parseAddress(host.replace(/^\[|\]$/g, ''))) return false
  return limit.startsWith('.') ? domainWithin(host, limit) : host.toLowerCase() === limit.toLowerCase()
}

function emailWithin(email: string, limit: string): boolean {
  const domain = email.slice(email.lastIndexOf('@') + 1)
  return limit.includes('@') ? email === limit : domainWithin(domain, limit)
}

function addressWithin(address: string, limit: string): boolean {
  const parsed = parseAddress(address)
  return parsed !== undefined && contains(networkOf(limit), parsed)
}

function prefixOf(bits: Buffer): number {
  return [...bits].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
}

function hostOf(uri: string): string {
  return /^[^:]*:\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/?#]*)/.exec(uri)?.[1] ?? ''
}

/** RFC 6125: an asterisk stands for one whole label, the first. */
function hasHost({ names }: Certificate, host: string): boolean {
  const address = parseAddress(host.replace(/^\[(.*)\]$/, '$1'))
  if (address) {
    return names.addresses.some(name => {
      const own = parseAddress(name)
      return (
        own !== undefined &&
        own.bits === address.bits &&
        mask(own.value, own.bits, own.bits) === address.value
      )
    })
  }
  const wanted = host.toLowerCase().replace(/\.$/, '').split('.')
  return names.dns.some(name => {
    const pattern = name.toLowerCase().replace(/\.$/, '').split('.')
    return (
      pattern.length === wanted.length &&
      pattern.every((label, i) => label === wanted[i] || (i === 0 && label === '*'))
    )
  })
}
