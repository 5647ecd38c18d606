import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf, keyIdOf, matches, newApiKey } from '../../src/identity/api-key.ts'

describe('newApiKey', () => {
  it('has a prefix for secret scanners, an id, a secret and a checksum', () => {
    const { id, secret } = newApiKey()
    expect(secret).toMatch(/^slp_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}$/)
    expect(id).toBe(`k_${secret.slice(4, 14)}`)
    expect(keyIdOf(secret)).toBe(id)
  })

  it('keeps a digest from which the secret cannot be read', () => {
    const { secret, digest } = newApiKey()
    expect(digest).toBe(createHash('sha256').update(secret).digest('hex'))
    expect(digest).not.toContain(secret.slice(15))
  })

  it('is never the same twice, and favours no character', () => {
    const keys = Array.from({ length: 2000 }, newApiKey)
    expect(new Set(keys.map(key => key.id)).size).toBe(2000)
    const seen = new Map<string, number>()
    for (const { secret } of keys)
      for (const character of secret.slice(15, -6)) seen.set(character, (seen.get(character) ?? 0) + 1)
    expect(seen.size).toBe(62)
    // 64,000 draws of 62: 1032 each, give or take 32. A bias by modulo would show as 1250 for the first eight.
    for (const count of seen.values()) expect(Math.abs(count - 1032)).toBeLessThan(200)
  })
})

describe('keyIdOf', () => {
  it('tells every key with one wrong character from a key', () => {
    const { secret } = newApiKey()
    for (let at = 4; at < secret.length; at++) {
      if (secret[at] === '_') continue
      const other = secret[at] === 'x' ? 'y' : 'x'
      expect(keyIdOf(secret.slice(0, at) + other + secret.slice(at + 1))).toBeUndefined()
    }
  })

  it('tells a key with two neighbours swapped from a key', () => {
    const { secret } = newApiKey()
    for (let at = 15; at < secret.length - 1; at++) {
      const swapped = secret.slice(0, at) + secret[at + 1] + secret[at] + secret.slice(at + 2)
      if (swapped !== secret) expect(keyIdOf(swapped)).toBeUndefined()
    }
  })

  it('takes nothing else for a key', () => {
    const { secret } = newApiKey()
    for (const other of [
      '',
      'slp_',
      'sk-abc',
      secret.slice(1),
      secret.slice(0, -1),
      `${secret}\n`,
      ` ${secret}`,
      `${secret}x`,
      secret.toUpperCase(),
    ]) {
      expect(keyIdOf(other)).toBeUndefined()
    }
  })
})

describe('matches', () => {
  it('knows the secret by its digest, and no other', () => {
    const [one, other] = [newApiKey(), newApiKey()]
    expect(matches(one.secret, digestOf(one.secret))).toBe(true)
    expect(matches(other.secret, digestOf(one.secret))).toBe(false)
  })
})
