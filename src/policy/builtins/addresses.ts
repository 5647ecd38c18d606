/** Addresses: IPv4 and IPv6 addresses and networks, as Go's `net` package reads and writes them. */
import { isIPv4, isIPv6 } from 'node:net'
import { BuiltinError } from './builtin.ts'

export interface Address {
  /** 32 or 128; an IPv4 address in IPv6 form (`::ffff:10.1.2.3`) is 32. */
  bits: 32 | 128
  value: bigint
}

export interface Network extends Address {
  prefix: number
}

const MAPPED = 0xffffn << 32n

/** @returns undefined when the text is no address; one with a zone is none. */
export function parseAddress(text: string): Address | undefined {
  const read = readAddress(text)
  return read && normal(read)
}

/** @returns undefined when the text is no network; its host bits are cleared. */
export function parseNetwork(text: string): Network | undefined {
  const [host = '', length = '', ...more] = text.split('/')
  const address = readAddress(host)
  if (!address || more.length > 0 || !/^\d{1,8}$/.test(length) || Number(length) > address.bits)
    return undefined
  const prefix = Number(length)
  const cleared = { bits: address.bits, value: mask(address.value, address.bits, prefix) }
  const network = normal(cleared)
  return { ...network, prefix: network.bits === cleared.bits ? prefix : prefix - 96 }
}

/** @throws BuiltinError */
export function networkOf(text: string): Network {
  const network = parseNetwork(text)
  if (!network) throw new BuiltinError(`invalid CIDR address: ${text}`)
  return network
}

export function contains(network: Network, { bits, value }: Address): boolean {
  return network.bits === bits && mask(value, bits, network.prefix) === network.value
}

export function lastOf({ bits, value, prefix }: Network): Address {
  return { bits, value: value | ((1n << BigInt(bits - prefix)) - 1n) }
}

export function mask(value: bigint, bits: number, prefix: number): bigint {
  const hostBits = BigInt(bits - prefix)
  return (value >> hostBits) << hostBits
}

export function addressText({ bits, value }: Address): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 0xffn).join('.')
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  )
  return shortened(groups)
}

/** The longest run of two or more zero groups becomes `::`, the first of equals (RFC 5952). */
function shortened(groups: readonly string[]): string {
  let best = { start: 0, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  if (best.length < 2) return groups.join(':')
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`
}

function normal({ bits, value }: Address): Address {
  return bits === 128 && value >> 32n === 0xffffn ? { bits: 32, value: value - MAPPED } : { bits, value }
}

function readAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: 32, value: readIPv4(text) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const tail = /[^:]*\.[^:]*$/.exec(text)?.[0]
  const plain = tail === undefined ? text : text.slice(0, -tail.length) + asGroups(readIPv4(tail))
  const [head = '', rest] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = rest ? rest.split(':') : []
  const zeros = new Array<string>(8 - before.length - after.length).fill('0')
  const groups = [...before, ...zeros, ...after]
  return { bits: 128, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) }
}

function readIPv4(text: string): bigint {
  return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
}

function asGroups(value: bigint): string {
  return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`
}
