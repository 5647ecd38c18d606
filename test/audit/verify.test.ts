import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { verify } from '../../src/audit/verify.ts'
import { auditFile, seal, writeHead } from '../support/audit-file.ts'

const TEN = Array.from({ length: 10 }, (_, number) => JSON.stringify({ event: 'decision', number }))

/** A log of ten, of which the lines were tampered with. */
async function tampered(tamper: (lines: string[]) => readonly string[], { anchored = true } = {}) {
  const { file, lines, link } = auditFile(TEN)
  writeFileSync(
    file,
    tamper([...lines])
      .map(line => `${line}\n`)
      .join(''),
  )
  if (anchored) writeHead(file, link)
  const { problems, ok } = await verify([file])
  expect(ok).toBe(problems.length === 0)
  return problems.map(({ line, kind, seq }) => ({ line, kind, seq }))
}

describe('verify', () => {
  it('finds nothing in a log as it was written', async () => {
    const { file, link } = auditFile(TEN)
    writeHead(file, link)
    expect(await verify([file])).toMatchObject({ ok: true, records: 10, problems: [], anchored: true })
  })

  it('finds a changed line', async () => {
    expect(
      await tampered(lines => lines.with(4, (lines[4] as string).replace('"number":4', '"number":5'))),
    ).toEqual([{ line: 5, kind: 'changed', seq: 5 }])
  })

  it('finds a line of which only a blank was added', async () => {
    expect(
      await tampered(lines => lines.with(4, (lines[4] as string).replace('{"event"', '{ "event"'))),
    ).toMatchObject([{ line: 5, kind: 'changed' }])
  })

  it.each([0, 4, 8])('finds where a line was removed: the one after it, at index %d', async at => {
    expect(await tampered(lines => lines.toSpliced(at, 1))).toEqual([
      { line: at + 1, kind: 'removed', seq: at + 2 },
    ])
  })

  it('finds two lines that changed places', async () => {
    expect(await tampered(lines => lines.toSpliced(4, 2, lines[5] as string, lines[4] as string))).toEqual([
      { line: 5, kind: 'removed', seq: 6 },
      { line: 6, kind: 'reordered', seq: 5 },
    ])
  })

  it('finds a line that stands there twice', async () => {
    expect(await tampered(lines => lines.toSpliced(4, 0, lines[4] as string))).toEqual([
      { line: 6, kind: 'reordered', seq: 5 },
    ])
  })

  it('finds a missing tail', async () => {
    expect(await tampered(lines => lines.slice(0, 7))).toEqual([{ line: 7, kind: 'truncated', seq: 10 }])
  })

  it('finds that all of it is missing', async () => {
    expect(await tampered(() => [])).toMatchObject([{ kind: 'truncated', seq: 10 }])
  })

  it('finds half a line', async () => {
    const { file, link } = auditFile(TEN)
    writeHead(file, link)
    writeFileSync(file, readFileSync(file).subarray(0, -20))
    expect((await verify([file])).problems).toEqual([{ file, line: 10, kind: 'torn', seq: null }])
  })

  it('finds a whole last line without its line feed: the next one would be written behind it', async () => {
    const { file } = auditFile(TEN)
    writeFileSync(file, readFileSync(file).subarray(0, -1))
    expect((await verify([file])).problems).toMatchObject([{ line: 10, kind: 'torn', seq: 10 }])
  })

  it('finds what is no record', async () => {
    expect(await tampered(lines => lines.toSpliced(4, 0, 'hello'))).toMatchObject([
      { line: 5, kind: 'torn', seq: null },
      {},
    ])
  })

  it('finds a line that was replaced by one with a hash of its own', async () => {
    const forge = (lines: string[]): string[] => {
      const [, prev] = /"prev":"(\w+)"/.exec(lines[4] as string) as unknown as [string, string]
      return lines.with(4, seal('{"event":"forged"}', { seq: 4, hash: prev }).line)
    }
    expect(await tampered(forge)).toEqual([{ line: 6, kind: 'replaced', seq: 6 }])
  })

  it('finds a tail that was forged whole, chain and all, by the head beside it', async () => {
    const forge = (lines: string[]): string[] => {
      let [, prev] = /"hash":"(\w+)"/.exec(lines[4] as string) as unknown as [string, string]
      return lines.map((line, index) => {
        if (index < 5) return line
        const sealed = seal(JSON.stringify({ event: 'forged', index }), { seq: index, hash: prev })
        prev = sealed.link.hash
        return sealed.line
      })
    }
    expect(await tampered(forge)).toMatchObject([{ kind: 'replaced', seq: 10 }])
    expect(await tampered(forge, { anchored: false })).toEqual([])
  })

  it('goes on after a problem and finds the next one', async () => {
    expect(
      await tampered(lines =>
        lines
          .with(2, (lines[2] as string).replace('decision', 'decisiom'))
          .with(7, (lines[7] as string).replace('decision', 'x')),
      ),
    ).toEqual([
      { line: 3, kind: 'changed', seq: 3 },
      { line: 8, kind: 'changed', seq: 8 },
    ])
  })

  it('says that the tail of a copy without its head is not anchored', async () => {
    const { file } = auditFile(TEN)
    expect(await verify([file])).toMatchObject({ ok: true, anchored: false })
    writeFileSync(`${file}.head`, '{"seq":')
    expect(await verify([file])).toMatchObject({ ok: true, anchored: false })
  })

  it('takes a head that lags behind for what it is', async () => {
    const { file } = auditFile(TEN)
    const third = JSON.parse(readFileSync(file, 'utf8').split('\n')[2] as string).chain
    writeHead(file, { seq: 3, hash: third.hash })
    expect(await verify([file])).toMatchObject({ ok: true, anchored: true })
  })

  it('follows the chain from one file to the next', async () => {
    const first = auditFile(TEN)
    const second = auditFile(TEN, first.link)
    writeHead(second.file, second.link)
    expect(await verify([first.file, second.file])).toMatchObject({ ok: true, records: 20 })
    expect((await verify([second.file])).problems).toMatchObject([{ line: 1, kind: 'removed', seq: 11 }])
    expect((await verify([second.file, first.file])).ok).toBe(false)
  })

  it('is not misled by bytes that are no UTF-8, or by what else ends lines for some readers', async () => {
    const { file, lines } = auditFile(['{"event":"a\u2028b\u2029c\u0085d"}', '{"event":"e"}'])
    expect(await verify([file])).toMatchObject({ ok: true, records: 2 })
    const broken = Buffer.from(`${lines.join('\n')}\n`)
    broken[broken.indexOf(0x62)] = 0xff
    writeFileSync(file, broken)
    expect((await verify([file])).problems).toMatchObject([{ line: 1, kind: 'changed', seq: 1 }])
  })

  it('tells two lines apart that a lossy decoder would take for the same', async () => {
    const { file } = auditFile(['{"event":"\ufffd"}', '{"event":"e"}'])
    const bytes = readFileSync(file)
    const at = bytes.indexOf(Buffer.from('\ufffd'))
    writeFileSync(file, Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]))
    expect((await verify([file])).problems).toMatchObject([{ line: 1, kind: 'changed' }])
  })

  it('reads lines that are cut anywhere by its own buffer', async () => {
    const long = Array.from({ length: 40 }, (_, number) =>
      JSON.stringify({ event: 'decision', text: 'ü'.repeat(20_000 + number) }),
    )
    const { file, link } = auditFile(long)
    writeHead(file, link)
    expect(await verify([file])).toMatchObject({ ok: true, records: 40 })
  })

  it('throws when there is no such file: nothing was verified', async () => {
    await expect(verify(['/nowhere/audit.jsonl'])).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
