import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { partsOf } from '../../src/audit/parts.ts'
import { lastRecords, recordsIn } from '../../src/audit/read-records.ts'
import { temporaryFolder } from '../support/folder.ts'
import { rejectionOf } from '../support/thrown.ts'

async function all(file: string): Promise<{ text: string; whole: boolean }[]> {
  const records: { text: string; whole: boolean }[] = []
  for await (const batch of recordsIn(file)) records.push(...batch)
  return records
}
const texts = async (file: string) => (await all(file)).map(({ text }) => text)
const fileOf = (content: string | Buffer, name = 'audit.jsonl') =>
  path.join(temporaryFolder({ [name]: content }), name)
/** Longer than what is read at once, with characters of several bytes across its border. */
const LONG = Array.from({ length: 30_000 }, (_, n) => `{"n":${n},"text":"${'ü€😀'.repeat(8)}"}`)

describe('recordsIn', () => {
  it('reads line by line, whole ones apart from half of one', async () => {
    expect(await all(fileOf('{"a":1}\n\n{"b":2}\n{"c'))).toEqual([
      { text: '{"a":1}', whole: true },
      { text: '{"b":2}', whole: true },
      { text: '{"c', whole: false },
    ])
    expect(await all(fileOf(''))).toEqual([])
  })

  it('reads every character of a long log, packed or not', async () => {
    const text = LONG.map(line => `${line}\n`).join('')
    expect(await texts(fileOf(text))).toEqual(LONG)
    expect(await texts(fileOf(gzipSync(text), 'audit.jsonl.1'))).toEqual(LONG)
  })

  it('reads what there is of a packed log that ends half-way', async () => {
    const packed = gzipSync(LONG.map(line => `${line}\n`).join(''))
    const found = await texts(fileOf(packed.subarray(0, packed.length / 2)))
    expect(found.length).toBeGreaterThan(1000)
    expect(LONG.slice(0, found.length - 1)).toEqual(found.slice(0, -1))
  })

  it('reads a list that OPA uploads', async () => {
    expect(await texts(fileOf(gzipSync('[{"n":12345678901234567890},{"b":[1]}]')))).toEqual([
      '{"n":12345678901234567890}',
      '{"b":[1]}',
    ])
    expect(await all(fileOf('[{"a":1},{"b'))).toEqual([{ text: '[{"a":1},{"b', whole: false }])
  })

  it('says that a file is not there, or is no gzip after all', async () => {
    expect((await rejectionOf(all('/nowhere/at/all'))).code).toBe('ENOENT')
    const packed = gzipSync('{"a":1}\n')
    packed[5] = 0xff
    packed.fill(0xff, 10, 16)
    expect((await rejectionOf(all(fileOf(packed)))).code).toBe('Z_DATA_ERROR')
  })
})

describe('partsOf', () => {
  it('goes from the oldest part to the file itself', () => {
    const folder = temporaryFolder({ 'a.jsonl': '', 'a.jsonl.1': '', 'a.jsonl.2.gz': '', 'a.jsonl.4': '' })
    const file = path.join(folder, 'a.jsonl')
    // A rotation that was cut short leaves a gap; what is behind it is no less part of the log.
    expect(partsOf(file)).toEqual([`${file}.4`, `${file}.2.gz`, `${file}.1`, file])
    expect(partsOf(path.join(folder, 'b.jsonl'))).toEqual([path.join(folder, 'b.jsonl')])
  })
})

describe('lastRecords', () => {
  const even = (text: string): boolean => (JSON.parse(text) as { n: number }).n % 2 === 0

  it('finds the last that fit, oldest first, without half a line', async () => {
    const file = fileOf(LONG.map(line => `${line}\n`).join(''))
    appendFileSync(file, '{"n":4')
    expect(await lastRecords(file, 3, even)).toEqual([LONG[29_994], LONG[29_996], LONG[29_998]])
    expect(await lastRecords(file, 1_000_000, even)).toEqual(LONG.filter(even))
  })

  it('reads only as far as it must', async () => {
    const file = fileOf(LONG.map(line => `${line}\n`).join(''))
    let looked = 0
    await lastRecords(file, 10, () => ++looked > 0)
    expect(looked).toBe(10)
  })

  it('goes on in the part before, and finds none where there is none', async () => {
    const file = fileOf('{"n":4}\n')
    writeFileSync(`${file}.1`, '{"n":0}\n{"n":2}\n')
    expect(await lastRecords(file, 2, even)).toEqual(['{"n":2}', '{"n":4}'])
    expect(await lastRecords(path.join(path.dirname(file), 'none'), 2, even)).toEqual([])
    expect(readFileSync(file, 'utf8')).toBe('{"n":4}\n')
  })
})
