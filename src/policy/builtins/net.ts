/**
 * net.*: networks and addresses. Those that the module has itself are answered here too: it knows no
 * IPv4 address in IPv6 form, and a deny rule for `10.0.0.0/8` must not miss `::ffff:10.1.2.3`.
 */
import { RegoNumber, RegoObject, RegoSet, type Value } from '../values/values.ts'
import {
  type Address,
  addressText,
  contains,
  lastOf,
  type Network,
  networkOf,
  parseAddress,
  parseNetwork,
} from './addresses.ts'
import { type Builtin, BuiltinError, type Builtins, collection, string } from './builtin.ts'

const cidrContains: Builtin = operands => networkContains(string(operands, 0), string(operands, 1))

export const net: Builtins = {
  'net.cidr_contains': cidrContains,
  'net.cidr_overlap': cidrContains,
  'net.cidr_intersects': operands => {
    const [a, b] = [networkOf(string(operands, 0)), networkOf(string(operands, 1))]
    return contains(a, b) || contains(b, a)
  },
  'net.cidr_is_valid': ([text]) => typeof text === 'string' && parseNetwork(text) !== undefined,
  'net.cidr_contains_matches': ([networks, addresses]) => {
    const found = new RegoSet()
    for (const [network, first] of matchable(networks as Value, 1)) {
      for (const [address, second] of matchable(addresses as Value, 2)) {
        if (networkContains(network, address)) found.add([first, second])
      }
    }
    return found
  },
  'net.cidr_expand': (operands, evaluation) => {
    const addresses = new RegoSet()
    for (const address of expand(networkOf(string(operands, 0)))) {
      addresses.add(address)
      evaluation.checkpoint()
    }
    return addresses
  },
  'net.cidr_merge': operands => new RegoSet(merge(collection(operands, 0).map(mergeable))),
}

/** More addresses than this would not fit the module's memory. */
const MOST_ADDRESSES = 2n ** 20n

function networkContains(network: string, member: string): boolean {
  const outer = networkOf(network)
  const address = parseAddress(member)
  if (address) return contains(outer, address)
  const inner = parseNetwork(member)
  if (!inner) throw new BuiltinError(`not a valid textual representation of an IP address or CIDR: ${member}`)
  return contains(outer, inner) && contains(outer, lastOf(inner))
}

/** Texts to compare, each with what it is called in the answer: itself, its index, its key. */
function matchable(value: Value, position: number): [string, Value][] {
  if (typeof value === 'string') return [[value, value]]
  const named: [Value, Value][] = Array.isArray(value)
    ? value.map((member, i) => [member, RegoNumber.of(i)])
    : value instanceof RegoSet
      ? value.sorted().map(member => [member, member])
      : value instanceof RegoObject
        ? value.sorted().map(([key, member]) => [member, key])
        : []
  return named.map(([member, name]) => {
    const text = Array.isArray(member) ? member[0] : member
    if (typeof text !== 'string')
      throw new BuiltinError(`operand ${position}: element must be string or non-empty array`)
    return [text, name]
  })
}

function* expand(network: Network): Generator<string> {
  const size = 1n << BigInt(network.bits - network.prefix)
  if (size > MOST_ADDRESSES) throw new BuiltinError('the network is too large', { halt: true })
  for (let value = network.value; value < network.value + size; value++)
    yield addressText({ bits: network.bits, value })
}

interface Range {
  bits: 32 | 128
  first: bigint
  last: bigint
  /** Undefined once ranges have been put together. */
  text: string | undefined
}

/** An IPv4 address without a length has that of its class, as in Go. */
function mergeable(value: Value): Range {
  if (typeof value !== 'string') throw new BuiltinError('element must be string')
  const address = parseAddress(value)
  if (address?.bits === 128) throw new BuiltinError('IPv6 invalid: needs prefix length')
  const text = address ? `${addressText(address)}/${classPrefix(address)}` : value
  const network = networkOf(text)
  const shown = address ? text : `${addressText(network)}/${network.prefix}`
  return { bits: network.bits, first: network.value, last: lastOf(network).value, text: shown }
}

function classPrefix({ value }: Address): number {
  const first = value >> 24n
  return first < 128n ? 8 : first < 192n ? 16 : 24
}

function merge(ranges: readonly Range[]): string[] {
  const sorted = [...ranges].sort(
    (a, b) => a.bits - b.bits || sign(a.last - b.last) || sign(a.first - b.first),
  )
  for (let i = sorted.length - 1; i > 0; i--) {
    const [lower, upper] = [sorted[i - 1] as Range, sorted[i] as Range]
    if (lower.bits !== upper.bits || upper.first - 1n > lower.last) continue
    // Math.min takes no bigints.
    const first = lower.first < upper.first ? lower.first : upper.first
    sorted.splice(i - 1, 2, { bits: upper.bits, first, last: upper.last, text: undefined })
  }
  return sorted.flatMap(range => (range.text === undefined ? cover(range) : [range.text]))
}

function sign(difference: bigint): number {
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The fewest networks that make up a range: always the largest that begins there and fits. */
function cover({ bits, first, last }: Range): string[] {
  const networks: string[] = []
  for (let value = first; value <= last; ) {
    let prefix: number = bits
    while (prefix > 0) {
      const size = 1n << BigInt(bits - prefix + 1)
      if (value % size !== 0n || value + size - 1n > last) break
      prefix--
    }
    networks.push(`${addressText({ bits, value })}/${prefix}`)
    value += 1n << BigInt(bits - prefix)
  }
  return networks
}
