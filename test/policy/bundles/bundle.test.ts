import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readBundle, sequenceOf } from '../../../src/policy/bundles/bundle.ts'
import { writeTar } from '../../../src/policy/bundles/tar.ts'
import { rejectionOf } from '../../support/thrown.ts'

const tar = (files: Readonly<Record<string, string | Buffer>>): Buffer =>
  writeTar(Object.entries(files).map(([name, content]) => ({ name, bytes: Buffer.from(content as string) })))
const archive = (files: Readonly<Record<string, string | Buffer>>): Buffer => gzipSync(tar(files))

describe('readBundle', () => {
  it.each(['policy.wasm', '/policy.wasm', './policy.wasm'])('finds the policy at %s', async name => {
    const { wasm } = await readBundle(archive({ [name]: 'wasm' }))
    expect(Buffer.from(wasm).toString()).toBe('wasm')
  })

  it('keeps the text of the data, digits and all', async () => {
    const data = '{"n": 12345678901234567890, "s": "ü"}'
    expect((await readBundle(archive({ '/policy.wasm': 'w', '/data.json': data }))).dataText).toBe(data)
  })

  it('has an empty document where there is no data', async () => {
    expect((await readBundle(archive({ '/policy.wasm': 'w' }))).dataText).toBe('{}')
  })

  it('mounts data by folder and keeps its digits, as OPA does', async () => {
    const { dataText } = await readBundle(
      archive({
        '/policy.wasm': 'w',
        '/data.json': '{"a":{"x":1.50}}',
        '/a/b/data.json': '{"deny":["eve"]}',
        '/a/data.json': '{"y":12345678901234567890}',
      }),
    )
    expect(dataText).toBe('{"a":{"b":{"deny":["eve"]},"x":1.50,"y":12345678901234567890}}')
  })

  it('has the manifest', async () => {
    const manifest = { revision: 'r1', roots: [''], metadata: { sequence: 7, more: 'x' } }
    const bundle = await readBundle(archive({ '/policy.wasm': 'w', '/.manifest': JSON.stringify(manifest) }))
    expect(bundle.manifest).toEqual(manifest)
    expect(sequenceOf(bundle.manifest)).toBe(7)
  })

  it.each([undefined, {}, { sequence: '7' }, { sequence: null }])('has no sequence in %j', async metadata => {
    const text = JSON.stringify({ revision: 'r', metadata })
    const { manifest } = await readBundle(archive({ '/policy.wasm': 'w', '/.manifest': text }))
    expect(sequenceOf(manifest)).toBeUndefined()
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('not an archive')],
    ['half an archive', archive({ '/policy.wasm': 'x'.repeat(5000) }).subarray(0, 30)],
    ['a tar that is not gzipped', tar({ '/policy.wasm': 'w' })],
    ['an archive without a policy', archive({ '/data.json': '{}', '/policy.rego': 'package a' })],
    ['data in YAML, which it does not read', archive({ '/policy.wasm': 'w', '/data.yaml': 'a: 1' })],
    ['data that is no object', archive({ '/policy.wasm': 'w', '/a/data.json': '[]' })],
    [
      'two data files that differ',
      archive({ '/policy.wasm': 'w', '/data.json': '{"a":{"b":1}}', '/a/data.json': '{"b":2}' }),
    ],
    [
      'data below what is no object',
      archive({ '/policy.wasm': 'w', '/data.json': '{"a":1}', '/a/data.json': '{"b":2}' }),
    ],
    ['a delta', archive({ '/policy.wasm': 'w', '/patch.json': '{"data":[]}' })],
    ['a manifest that is none', archive({ '/policy.wasm': 'w', '/.manifest': 'x' })],
    ['a revision that is no text', archive({ '/policy.wasm': 'w', '/.manifest': '{"revision":1}' })],
    ['metadata that is none', archive({ '/policy.wasm': 'w', '/.manifest': '{"metadata":1}' })],
    ['one that unfolds without end', gzipSync(Buffer.alloc(600 * 1024 * 1024))],
    [
      'data that is no UTF-8',
      archive({ '/policy.wasm': 'w', '/data.json': Buffer.from([0x22, 0xff, 0x22]) }),
    ],
  ])('refuses %s', async (_what, bytes) => {
    expect((await rejectionOf(readBundle(bytes))).code).toBe('bad_bundle')
  })
})
