/**
 * Signatures, both ways: what `opa` signed is taken here, what is signed here `opa` takes. Then the attacks,
 * each told by the code that it is refused with.
 */
import { createHmac, createPrivateKey, createPublicKey, createSecretKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BundleFiles, readBundle, SIGNATURES } from '../../../src/policy/bundles/bundle.ts'
import { signBundle, verifySignature } from '../../../src/policy/bundles/signature.ts'
import { signingKey, verificationKeys } from '../../../src/policy/bundles/signature-keys.ts'
import { writeBundle } from '../../../src/policy/bundles/write.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { opa } from '../../support/opa.ts'
import { ecPair, rsaPair } from '../../support/signing-keys.ts'
import { thrownBy } from '../../support/thrown.ts'

/** Data with all that canonical JSON could get wrong. */
const DATA =
  '{"z": 1.50, "text": "<é> & \\u2028 \\b\\f\\u0001 😀 \\ud800", "big": 12345678901234567890, "e": 1E+3, "\\uffee": 1, "😀": {"b": [], "a": {}}}'
const SOURCES = {
  'gateway/decision.rego': 'package gateway\n\ndecision := {"allow": data.text != ""}\n',
  'data.json': DATA,
}

const rsa = rsaPair()
const p256 = ecPair()
const p384 = ecPair('secp384r1')
const ALGORITHMS = [
  ['RS256', rsa],
  ['RS512', rsa],
  ['PS256', rsa],
  ['PS384', rsa],
  ['ES256', p256],
  ['ES384', p384],
  ['HS256', { privateKey: 'a secret of ours\n', publicKey: 'a secret of ours\n' }],
  ['HS512', { privateKey: 'another', publicKey: 'another' }],
] as const

/** A folder with sources and keys in it. */
const folderWith = (pair: { privateKey: string; publicKey: string }): string =>
  temporaryFolder({ ...prefixed(SOURCES), 'private.pem': pair.privateKey, 'public.pem': pair.publicKey })
const prefixed = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`sources/${name}`, text]))
const publicIn = (folder: string) => verificationKeys(path.join(folder, 'public.pem'))

async function builtByOpa(folder: string, ...flags: string[]): Promise<BundleFiles> {
  const args = ['build', '-t', 'wasm', '-e', 'gateway/decision', '--v1-compatible', '-b', 'sources']
  const { code, output } = await opa([...args, '-r', 'r1', '-o', 'opa.tar.gz', ...flags], folder)
  expect([code, output]).toEqual([0, ''])
  return (await readBundle(readFileSync(path.join(folder, 'opa.tar.gz')))).files
}

describe.each(ALGORITHMS)('with %s', (algorithm, pair) => {
  it('a bundle that opa signed is taken', async () => {
    const folder = folderWith(pair)
    const files = await builtByOpa(folder, '--signing-key', 'private.pem', '--signing-alg', algorithm)
    expect(() => verifySignature(files, publicIn(folder))).not.toThrow()
  })

  it('a bundle that we sign is taken by opa, and not with another key', async () => {
    const folder = folderWith(pair)
    const files = await builtByOpa(folder)
    const signed = signBundle(files, signingKey(path.join(folder, 'private.pem'), algorithm), algorithm)
    writeFileSync(path.join(folder, 'ours.tar.gz'), writeBundle(signed))
    writeFileSync(path.join(folder, 'other.pem'), algorithm.startsWith('HS') ? 'other' : rsaPair().publicKey)
    const verify = (key: string) =>
      opa(
        [
          'build',
          '-b',
          'ours.tar.gz',
          '--v1-compatible',
          '--verification-key',
          key,
          '--signing-alg',
          algorithm,
        ],
        folder,
      )
    expect(await verify('public.pem')).toEqual({ code: 0, output: '' })
    expect((await verify('other.pem')).code).toBe(1)
  })
})

describe('a signature', () => {
  const keys = [createPublicKey(rsa.publicKey)]
  const secret = createSecretKey(Buffer.from('s3cret'))
  const signed = signBundle(
    new Map(
      Object.entries({
        '.manifest': '{"revision":"r1","roots":[""]}',
        'data.json': '{"a": 1, "b": 2}',
        'policy.wasm': 'wasm',
        'gateway/decision.rego': 'package gateway',
      }).map(([name, text]) => [name, Buffer.from(text)]),
    ),
    createPrivateKey(rsa.privateKey),
    'RS256',
  )
  const codeOf = (files: BundleFiles, by = keys) => thrownBy(() => verifySignature(files, by)).code
  const changed = (name: string, content: string | undefined): BundleFiles => {
    const files = new Map(signed)
    if (content === undefined) files.delete(name)
    else files.set(name, Buffer.from(content))
    return files
  }
  const token = (): string[] =>
    (JSON.parse(Buffer.from(signed.get(SIGNATURES) as Uint8Array).toString()).signatures[0] as string).split(
      '.',
    )
  const withToken = (...parts: string[]): BundleFiles =>
    changed(SIGNATURES, JSON.stringify({ signatures: [parts.join('.')] }))
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

  it('holds for the same documents written otherwise, and for nothing else', () => {
    expect(() => verifySignature(changed('data.json', '{"b":2,\n"a":1}'), keys)).not.toThrow()
    expect(codeOf(changed('data.json', '{"a":1,"b":2.0}'))).toBe('tampered_bundle')
    expect(codeOf(changed('data.json', '{"a":0,"a":1,"b":2}'))).toBe('tampered_bundle')
    expect(codeOf(changed('data.json', 'no json'))).toBe('tampered_bundle')
  })

  it.each(['.manifest', 'policy.wasm', 'gateway/decision.rego'])('does not hold once %s is changed', name => {
    expect(codeOf(changed(name, '{"revision":"r2","roots":[""]}'))).toBe('tampered_bundle')
  })

  it('does not hold for a file too many, or one too few', () => {
    expect(codeOf(changed('more/data.json', '{}'))).toBe('tampered_bundle')
    expect(codeOf(changed('data.json', undefined))).toBe('tampered_bundle')
  })

  it('does not hold when it is not there', () => {
    expect(codeOf(changed(SIGNATURES, undefined))).toBe('unsigned_bundle')
  })

  it('of another key does not hold, and of any of several keys does', () => {
    const other = [createPublicKey(rsaPair().publicKey), secret]
    expect(codeOf(signed, other)).toBe('bad_signature')
    expect(codeOf(signed, [])).toBe('bad_signature')
    expect(() => verifySignature(signed, [...other, ...keys])).not.toThrow()
  })

  // "alg": "none" says that there is nothing to verify.
  it('is not believed when it says that it needs none', () => {
    const [, payload = ''] = token()
    expect(codeOf(withToken(encoded({ alg: 'none' }), payload, ''))).toBe('bad_signature')
  })

  // The public key is public: taken for the secret of an HMAC, anybody could sign with it.
  it('is not believed when it takes the public key for a secret', () => {
    const [, payload = ''] = token()
    const content = `${encoded({ alg: 'HS256' })}.${payload}`
    for (const secret of [Buffer.from(rsa.publicKey), Buffer.from('')]) {
      const mac = createHmac('sha256', secret).update(content).digest('base64url')
      expect(codeOf(withToken(content, mac))).toBe('bad_signature')
    }
  })

  it('is not believed when its list of files was changed', () => {
    const [header = '', payload = '', signature = ''] = token()
    const list = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { files: unknown[] }
    const shorter = encoded({ ...list, files: list.files.slice(1) })
    expect(codeOf(withToken(header, shorter, signature))).toBe('bad_signature')
  })

  it('of a good key does not hold for another scope, or with a weak hash', () => {
    const signedAs = (payload: object): BundleFiles => {
      const content = `${encoded({ alg: 'HS256' })}.${encoded(payload)}`
      return withToken(content, createHmac('sha256', secret).update(content).digest('base64url'))
    }
    expect(codeOf(signedAs({ files: [], scope: 'write' }), [secret])).toBe('bad_signature')
    const files = [...signed.keys()].map(name => ({ name, hash: '', algorithm: 'MD5' }))
    expect(codeOf(signedAs({ files }), [secret])).toBe('bad_signature')
    expect(codeOf(signedAs({ files: [{ name: 'data.json' }] }), [secret])).toBe('bad_signature')
    expect(codeOf(signedAs({}), [secret])).toBe('bad_signature')
  })

  it.each([
    ['nothing', ''],
    ['a list', '[]'],
    ['no signature', '{"signatures":[]}'],
    ['two signatures', '{"signatures":["a.b.c","a.b.c"]}'],
    ['a signature that is none', '{"signatures":["a.b.c"]}'],
    ['four parts', '{"signatures":["eyJhbGciOiJSUzI1NiJ9.e30.AA.AA"]}'],
  ])('is refused when its file holds %s', (_what, text) => {
    expect(codeOf(changed(SIGNATURES, text))).toBe('bad_signature')
  })
})
