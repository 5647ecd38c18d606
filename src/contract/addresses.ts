/** Internet addresses in the one form that policies, counters and records know. */
import { isIP, isIPv6 } from 'node:net'

/** `::ffff:10.1.2.3` is `10.1.2.3`; zones are cut off. */
export function normaliseAddress(address: string): string {
  const bare = address.split('%', 1)[0] ?? address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)
  return mapped?.[1] ?? bare
}

/** Who may be told apart from whom: an IPv4 address, or an IPv6 /64, which one subscriber holds whole. */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const before = head.split(':').filter(Boolean)
  const after = tail?.split(':').filter(Boolean) ?? []
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`
}

/** Whether a source is named by a URL and not by a path. */
export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

/** Over plain http anybody on the way could answer instead: it is for loopback only. */
export function isSafeUrl({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')))
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** An address, or all that share its first bits. */
export interface Network {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

/** @param text - Such as `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`. @returns undefined when it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, host = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const address = normaliseAddress(host)
  const version = host.includes('%') ? 0 : isIP(address)
  if (version === 0 || (address !== host && bits !== undefined)) return undefined
  const most = version === 4 ? 32 : 128
  const shared = bits === undefined ? most : Number(bits)
  return shared > most ? undefined : { address, bits: shared, family: version === 4 ? 'ipv4' : 'ipv6' }
}
