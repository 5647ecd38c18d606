import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createBatch } from '../../src/audit/batch.ts'
import { GENESIS, read } from '../../src/audit/chain.ts'
import { seal } from '../support/audit-file.ts'

const latin1 = (line: string): string => Buffer.from(line, 'utf8').toString('latin1')

describe('a sealed line', () => {
  it('is the record with its place in the chain at the end', () => {
    const { line, link } = seal('{"event":"a"}', GENESIS)
    expect(JSON.parse(line)).toEqual({ event: 'a', chain: { seq: 1, prev: GENESIS.hash, hash: link.hash } })
    expect(link.seq).toBe(1)
  })

  it('can be checked by anybody with SHA-256: cut the hash out, close the braces', () => {
    const { line, link } = seal('{"event":"a","b":[1,{"chain":{}}]}', { seq: 41, hash: 'ab'.repeat(32) })
    const cut = line.replace(/,"hash":"[0-9a-f]{64}"\}\}$/, '}}')
    expect(createHash('sha256').update(cut).digest('hex')).toBe(link.hash)
    expect(JSON.parse(cut).chain).toEqual({ seq: 42, prev: 'ab'.repeat(32) })
  })

  it('is read back with its link and what it follows', () => {
    const { line, link } = seal('{"event":"grün ☃ 🎉 \\u2028"}', GENESIS)
    expect(read(latin1(line))).toEqual({ ok: true, link, prev: GENESIS.hash })
  })

  it('is not whole with any one character changed', () => {
    const { line } = seal('{"event":"a"}', GENESIS)
    for (let at = 0; at < line.length; at++) {
      const other = line[at] === '0' ? '1' : '0'
      expect(read(line.slice(0, at) + other + line.slice(at + 1)).ok, `at ${at}`).toBe(false)
    }
  })

  it('says which it claims to be, even when it was changed', () => {
    const { line } = seal('{"event":"a"}', { seq: 6, hash: GENESIS.hash })
    expect(read(line.replace('"a"', '"b"'))).toEqual({ ok: false, seq: 7 })
  })

  it.each(['', '{}', 'x', '{"chain":{"seq":1}}', '{"event":"a"}'])('is not %j', text => {
    expect(read(text)).toEqual({ ok: false, seq: undefined })
  })

  it('cannot be imitated from inside a record', () => {
    const inner = seal('{"event":"forged"}', GENESIS).line
    const { line, link } = seal(JSON.stringify({ event: 'a', said: inner }), { seq: 9, hash: GENESIS.hash })
    expect(read(line)).toMatchObject({ ok: true, link: { seq: 10, hash: link.hash } })
  })
})

describe('lines that are sealed together', () => {
  it('are what each would be alone, whatever their lengths', () => {
    const records = [1, 200_000, 3, 900_000, 5].map(length => JSON.stringify({ text: '☃'.repeat(length) }))
    const batch = createBatch()
    for (const from of [GENESIS, { seq: 7, hash: 'cd'.repeat(32) }]) {
      batch.clear()
      let [together, alone] = [from, from]
      let lines = ''
      for (const record of records) {
        const sealed = seal(record, alone)
        alone = sealed.link
        lines += `${sealed.line}\n`
        together = batch.add(record, together)
      }
      expect(together).toEqual(alone)
      expect(batch.bytes().toString()).toBe(lines)
    }
  })
})
