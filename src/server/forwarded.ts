/**
 * Who the client is, behind proxies: believed only of proxies that the config names, and counted
 * from the right, as everything further left may be the client's own invention.
 */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { normaliseAddress, parseNetwork } from '../contract/addresses.ts'
import { GatewayError } from '../contract/errors.ts'

export interface TrustedProxies {
  /** @param address - Normalised. */
  has(address: string): boolean
}

/** @param networks - Addresses and CIDRs, which the config's rules have judged. */
export function createTrustedProxies(networks: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const text of networks) {
    const network = parseNetwork(text)
    if (network) list.addSubnet(network.address, network.bits, network.family)
  }
  return {
    has: address => networks.length > 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'),
  }
}

/**
 * @param peer - The address at the other end of the connection, normalised.
 * @returns The first address from the right that is no trusted proxy; the furthest one when all are.
 * @throws GatewayError `invalid_request` when the two headers tell of two clients: a proxy that
 *   writes the one lets through what a client wrote into the other.
 */
export function clientAddress(
  peer: string,
  headers: ReadonlyMap<string, string>,
  proxies: TrustedProxies,
): string {
  if (!proxies.has(peer)) return peer
  const listed = headers.get('x-forwarded-for')
  const forwarded = headers.get('forwarded')
  const byList = listed === undefined ? peer : furthest(peer, listed.split(','), proxies)
  const byStandard = forwarded === undefined ? peer : furthest(peer, hopsIn(forwarded), proxies)
  if (listed === undefined) return byStandard
  if (forwarded === undefined || byList === byStandard) return byList
  throw new GatewayError('invalid_request', 'x-forwarded-for and forwarded tell of two clients', {
    title: 'x-forwarded-for and forwarded do not agree',
  })
}

function furthest(peer: string, hops: readonly string[], proxies: TrustedProxies): string {
  let client = peer
  for (let index = hops.length - 1; index >= 0 && proxies.has(client); index--) {
    const address = addressIn(hops[index] as string)
    // What a trusted proxy did not say in numbers, or not at all, is not known.
    if (address === undefined) break
    client = address
  }
  return client
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim()
  const bare =
    /^\[([^\]]+)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1]
  const address = normaliseAddress(bare ?? text).toLowerCase()
  return isIP(address) === 0 || text.includes('%') ? undefined : address
}

/** One `for=` of RFC 7239, which may be quoted; or any other parameter. */
const PARAMETER = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*([;,]|$)/y

/** The `for` of each element; one that cannot be read hides all that is left of it. */
function hopsIn(header: string): string[] {
  const hops: string[] = []
  let hop = ''
  PARAMETER.lastIndex = 0
  while (PARAMETER.lastIndex < header.length) {
    const match = PARAMETER.exec(header)
    if (!match) return ['']
    const [, name = '', quoted, plain, end] = match
    if (name.toLowerCase() === 'for') hop = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
    if (end !== ';') {
      hops.push(hop)
      hop = ''
    }
    if (end === '') break
  }
  return hops
}
