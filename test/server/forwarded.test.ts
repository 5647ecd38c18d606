import { describe, expect, it } from 'vitest'
import { parseNetwork } from '../../src/contract/addresses.ts'
import { clientAddress, createTrustedProxies } from '../../src/server/forwarded.ts'
import { thrownBy } from '../support/thrown.ts'

const PROXIES = createTrustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8:1::/48'])
const client = (peer: string, headers: Record<string, string> = {}) =>
  clientAddress(peer, new Map(Object.entries(headers)), PROXIES)
const listed = (text: string, peer = '10.0.0.1') => client(peer, { 'x-forwarded-for': text })
const standard = (text: string, peer = '10.0.0.1') => client(peer, { forwarded: text })

describe('who the client is', () => {
  it.each(['203.0.113.9', '192.0.2.8', '11.0.0.1', '2001:db8:2::1'])(
    'is the other end of the connection, whatever it writes, where that is no trusted proxy: %s',
    peer => {
      expect(client(peer, { 'x-forwarded-for': '198.51.100.1', forwarded: 'for=198.51.100.2' })).toBe(peer)
    },
  )

  it.each([
    ['198.51.100.1', '198.51.100.1'],
    ['198.51.100.1:4711', '198.51.100.1'],
    ['2001:DB8:2::1', '2001:db8:2::1'],
    ['[2001:db8:2::1]:4711', '2001:db8:2::1'],
    ['::ffff:198.51.100.1', '198.51.100.1'],
    ['198.51.100.1, 10.0.0.9, 192.0.2.7', '198.51.100.1'],
    ['198.51.100.1, 2001:db8:1::5', '198.51.100.1'],
    ['10.0.0.8,10.0.0.9', '10.0.0.8'],
  ])('is told by trusted proxies: %s', (text, address) => {
    expect(listed(text)).toBe(address)
  })

  /** The client writes the header itself, and the proxy adds what it saw at the right end. */
  it.each([
    ['10.0.0.5, 198.51.100.1', '198.51.100.1'],
    ['127.0.0.1, 198.51.100.1, 10.0.0.9', '198.51.100.1'],
    ['198.51.100.77, 198.51.100.1', '198.51.100.1'],
    ['198.51.100.77, unknown', '10.0.0.1'],
    ['198.51.100.77, _hidden, 10.0.0.9', '10.0.0.9'],
    ['198.51.100.77,', '10.0.0.1'],
    ['198.51.100.77, 10.0.0.9 198.51.100.78', '10.0.0.1'],
    ['198.51.100.77, 999.1.1.1', '10.0.0.1'],
    ['198.51.100.77, 0x0a000001', '10.0.0.1'],
    ['198.51.100.77, fe80::1%eth0', '10.0.0.1'],
    ['', '10.0.0.1'],
  ])('is never what the client wrote left of that: %s', (text, address) => {
    expect(listed(text)).toBe(address)
  })

  it.each([
    ['for=198.51.100.1', '198.51.100.1'],
    ['For="198.51.100.1:4711"', '198.51.100.1'],
    ['for="[2001:db8:2::1]:4711";proto=https', '2001:db8:2::1'],
    ['proto=http;for=198.51.100.1;by=10.0.0.1, for=10.0.0.9', '198.51.100.1'],
    ['for=198.51.100.77, for=198.51.100.1', '198.51.100.1'],
    ['for="198.51.100.77, for=10.0.0.9"', '10.0.0.1'],
    ['for=198.51.100.77, proto=https', '10.0.0.1'],
    ['for=198.51.100.77, for=unknown', '10.0.0.1'],
    ['for=198.51.100.77 for=198.51.100.1', '10.0.0.1'],
    ['for="198.51.100.1', '10.0.0.1'],
    ['nonsense', '10.0.0.1'],
  ])('is read as RFC 7239 has it, counted from the right: %s', (text, address) => {
    expect(standard(text)).toBe(address)
  })

  it('is refused when the two headers tell of two clients: one of them the client wrote itself', () => {
    const both = (one: string, other: string) =>
      client('10.0.0.1', { 'x-forwarded-for': one, forwarded: `for=${other}` })
    expect(both('198.51.100.1', '198.51.100.1')).toBe('198.51.100.1')
    expect(thrownBy(() => both('198.51.100.1', '10.0.0.5'))).toMatchObject({
      code: 'invalid_request',
      status: 400,
    })
  })
})

describe('a network', () => {
  it.each(['10.0.0.0/8', '10.1.2.3', '0.0.0.0/0', '::/0', '2001:db8::/32', '::1', '::ffff:10.1.2.3'])(
    'is %s',
    text => {
      expect(parseNetwork(text)).toBeDefined()
    },
  )
  it.each([
    '',
    '10',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '::/129',
    'localhost',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '::ffff:10.1.2.3/8',
    '*',
  ])('is not %j', text => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})
