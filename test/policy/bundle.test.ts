import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readBundle } from '../../src/policy/bundle.ts'
import { rejectionOf } from '../support/thrown.ts'

/** A tar archive (POSIX ustar) of these files. */
function tar(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const bytes = Buffer.from(content as string)
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write('        0', 148)
    header.write('ustar\x0000', 257)
    const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}
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

  it('takes only the data at the root', async () => {
    expect((await readBundle(archive({ '/policy.wasm': 'w', '/x/data.json': '{"a":1}' }))).dataText).toBe(
      '{}',
    )
  })

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('not an archive')],
    ['half an archive', archive({ '/policy.wasm': 'x'.repeat(5000) }).subarray(0, 30)],
    ['a tar that is not gzipped', tar({ '/policy.wasm': 'w' })],
    ['an archive without a policy', archive({ '/data.json': '{}', '/policy.rego': 'package a' })],
    [
      'data that is no UTF-8',
      archive({ '/policy.wasm': 'w', '/data.json': Buffer.from([0x22, 0xff, 0x22]) }),
    ],
  ])('refuses %s', async (_what, bytes) => {
    expect((await rejectionOf(readBundle(bytes))).code).toBe('bad_bundle')
  })
})
