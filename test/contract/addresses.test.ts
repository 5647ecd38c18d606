import { describe, expect, it } from 'vitest'
import { addressGroup, isLoopback, normaliseAddress } from '../../src/contract/addresses.ts'

describe('normaliseAddress', () => {
  it.each([
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::FFFF:10.1.2.3', '10.1.2.3'],
    ['10.1.2.3', '10.1.2.3'],
    ['2001:db8::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['', ''],
  ])('writes %s as %s', (address, normal) => {
    expect(normaliseAddress(address)).toBe(normal)
  })
})

describe('addressGroup', () => {
  it('tells IPv4 addresses apart one by one', () => {
    expect(addressGroup('203.0.113.7')).toBe('203.0.113.7')
  })

  it('holds a whole /64 for one caller, who can take any address in it', () => {
    const group = addressGroup('2001:db8:1:2:3:4:5:6')
    expect(group).toBe('2001:db8:1:2::/64')
    expect(addressGroup('2001:db8:1:2::ffff')).toBe(group)
    expect(addressGroup('2001:db8:1:3::ffff')).not.toBe(group)
  })

  it.each([
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['1:2:3:4::', '1:2:3:4::/64'],
    ['1:2::7:8', '1:2:0:0::/64'],
    ['1::4:5:6:7:8', '1:0:0:4::/64'],
  ])('fills in what %s leaves out', (address, group) => {
    expect(addressGroup(address)).toBe(group)
  })
})

describe('isLoopback', () => {
  it.each(['localhost', '127.0.0.1', '127.8.9.10', '::1'])('knows %s', host => {
    expect(isLoopback(host)).toBe(true)
  })

  it.each([
    '0.0.0.0',
    '::',
    '',
    '10.0.0.1',
    '127.0.0.1.example.com',
    'localhost.example.com',
    '1127.0.0.1',
    '::ffff:10.0.0.1',
  ])('does not take %j for it: an open admin listener would be the price', host => {
    expect(isLoopback(host)).toBe(false)
  })
})
