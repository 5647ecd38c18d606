import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ask, codeOf } from '../rego.ts'

const FILES = join(import.meta.dirname, 'files')
const read = (name: string) => readFileSync(join(FILES, name), 'utf8')
const [root, middle, leaf, other] = ['root.crt', 'middle.crt', 'leaf.crt', 'other.crt'].map(read) as [
  string,
  string,
  string,
  string,
]
/** Within the lifetime of the certificates. */
const at = Date.parse(new X509Certificate(leaf).validFrom) * 1e6 + 1e9
const VERIFY = 'crypto.x509.parse_and_verify_certificates_with_options(input.chain, input.options)'

function verified(certificates: readonly string[], options: object = {}): unknown {
  const input = { chain: certificates.join(''), options: { CurrentTime: at, ...options } }
  return JSON.parse(ask(`[${VERIFY}[0], count(${VERIFY}[1])]`, input) as string)
}

describe('a chain', () => {
  it('leads from the leaf to the root', () => {
    expect(verified([root, middle, leaf])).toEqual([true, 3])
    expect(verified([root, middle, leaf], { DNSName: 'api.example.com' })).toEqual([true, 3])
    expect(
      verified([root, middle, leaf], { KeyUsages: ['KeyUsageClientAuth', 'KeyUsageServerAuth'] }),
    ).toEqual([true, 3])
  })

  it('is refused when a link is missing, foreign or not an authority', () => {
    expect(verified([root, leaf])).toEqual([false, 0])
    expect(verified([other, middle, leaf])).toEqual([false, 0])
    expect(verified([leaf, leaf, middle])).toEqual([false, 0])
    expect(verified([root])).toEqual([false, 0])
  })

  it('is refused at another time, for another name, for another use', () => {
    expect(verified([root, middle, leaf], { CurrentTime: 0 })).toEqual([false, 0])
    expect(verified([root, middle, leaf], { DNSName: 'api.example.org' })).toEqual([false, 0])
    expect(verified([root, middle, leaf], { KeyUsages: ['KeyUsageCodeSigning'] })).toEqual([false, 0])
  })
})

describe('a certificate', () => {
  it('shows its names, and is an error when it is none', () => {
    const names = 'crypto.x509.parse_certificates(input.pem)[0].DNSNames'
    expect(ask(names, { pem: leaf })).toBe('["*.example.com"]')
    for (const pem of [
      '',
      'x',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      leaf.replaceAll('CERTIFICATE', 'PUBLIC KEY'),
    ]) {
      expect(
        codeOf(() => ask(names, { pem }, 'refuse')),
        pem.slice(0, 30),
      ).toBe(pem === '' ? undefined : 'builtin_error')
    }
  })
})
