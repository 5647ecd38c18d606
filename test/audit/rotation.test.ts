import { existsSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createFileSink, type FileSink } from '../../src/audit/file-sink.ts'
import { type AuditLog, createAuditLog } from '../../src/audit/log.ts'
import { partsOf } from '../../src/audit/parts.ts'
import { recover } from '../../src/audit/recover.ts'
import type { RotationRules } from '../../src/audit/rotation.ts'
import { verify } from '../../src/audit/verify.ts'
import { linesIn } from '../support/audit-file.ts'
import { temporaryFolder } from '../support/folder.ts'

const START = Date.parse('2026-01-01T00:00:00Z')

interface Run {
  readonly file: string
  readonly log: AuditLog
  readonly trouble: string[]
  readonly pruned: string[][]
  /** Writes as many records. */
  add(count: number, text?: string): Promise<void>
}

/** A run of a gateway on a log, with a clock that stands still. @param place - A folder, or the file. */
async function run(
  place: string,
  rules: Partial<RotationRules>,
  clock: { at: number } = { at: START },
): Promise<Run> {
  const file = path.basename(place).length > 200 ? place : path.join(place, 'audit.jsonl')
  const trouble: string[] = []
  const pruned: string[][] = []
  const { from } = await recover(file)
  const sink: FileSink = createFileSink({
    path: file,
    sync: 'never',
    now: () => clock.at,
    rotation: { compress: false, ...rules },
    onTrouble: what => trouble.push(what),
    onPruned: paths => pruned.push(paths.map(part => path.basename(part))),
  })
  const log = createAuditLog({
    channels: [{ type: 'file', name: 'file', sink, from, decides: true }],
    onFailure: 'refuse',
    now: () => clock.at,
    onRecords: () => {},
    onStateChange: () => {},
  })
  onTestFinished(() => log.close())
  const add = async (count: number, text = 'x'.repeat(100)): Promise<void> => {
    for (let number = 0; number < count; number++)
      await log.write(
        JSON.stringify({ event: 'e', timestamp: new Date(clock.at).toISOString(), number, text }),
      )
  }
  return { file, log, trouble, pruned, add }
}

const names = (folder: string): string[] => readdirSync(folder).sort()
const verified = (file: string) => verify(partsOf(file))

describe('rotation', () => {
  it('keeps each file within its size, and the chain whole over all of them', async () => {
    const folder = temporaryFolder()
    const { file, log, add } = await run(folder, { maxBytes: 1000 })
    await add(10)
    await log.close()
    expect(names(folder)).toEqual([
      'audit.jsonl',
      'audit.jsonl.1',
      'audit.jsonl.2',
      'audit.jsonl.3',
      'audit.jsonl.4',
      'audit.jsonl.head',
    ])
    for (const part of partsOf(file)) expect(readFileSync(part).length).toBeLessThanOrEqual(1000)
    expect(await verified(file)).toMatchObject({ ok: true, records: 10, anchored: true })
    const [oldest] = partsOf(file)
    expect(oldest).toBe(`${file}.4`)
    expect(JSON.parse(linesIn(oldest as string)[0] as string).chain.seq).toBe(1)
  })

  it('takes a record that is larger than a file may be', async () => {
    const { file, log, add } = await run(temporaryFolder(), { maxBytes: 1000 })
    await add(1)
    await add(1, 'x'.repeat(5000))
    await add(1)
    await log.close()
    expect(partsOf(file)).toHaveLength(3)
    expect((await verified(file)).ok).toBe(true)
  })

  it('begins a new file when one was written to for so long, over restarts', async () => {
    const folder = temporaryFolder()
    const clock = { at: START }
    const first = await run(folder, { intervalMs: 3_600_000 }, clock)
    await first.add(1)
    clock.at += 3_000_000
    await first.add(1)
    await first.log.close()
    expect(partsOf(first.file)).toHaveLength(1)
    const second = await run(folder, { intervalMs: 3_600_000 }, clock)
    clock.at += 599_999
    await second.add(1)
    expect(partsOf(first.file)).toHaveLength(1)
    clock.at += 1
    await second.add(1)
    await second.log.close()
    expect(partsOf(first.file).map(part => linesIn(part).length)).toEqual([3, 1])
    expect((await verified(first.file)).ok).toBe(true)
  })

  it('packs what was rotated away, also what an earlier run did not get to', async () => {
    const folder = temporaryFolder()
    const first = await run(folder, { maxBytes: 1000 })
    await first.add(6)
    await first.log.close()
    writeFileSync(`${first.file}.gz.new`, 'half of a part')
    const { file, log, add } = await run(folder, { maxBytes: 1000, compress: true })
    await add(4)
    await expect
      .poll(() => names(folder))
      .toEqual([
        'audit.jsonl',
        'audit.jsonl.1.gz',
        'audit.jsonl.2.gz',
        'audit.jsonl.3.gz',
        'audit.jsonl.4.gz',
        'audit.jsonl.head',
      ])
    await log.close()
    expect(gunzipSync(readFileSync(`${file}.4.gz`)).toString()).toContain('"seq":1,')
    expect(await verified(file)).toMatchObject({ ok: true, records: 10 })
    expect(await recover(file)).toMatchObject({ from: { seq: 10 } })
  })

  it('keeps so many parts, and says in the head where the log now begins', async () => {
    const folder = temporaryFolder()
    const { file, log, add, pruned } = await run(folder, { maxBytes: 1000, keep: 2 })
    await add(7)
    await expect.poll(() => pruned.flat()).toContain('audit.jsonl.3')
    await log.close()
    expect(names(folder)).toEqual(['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2', 'audit.jsonl.head'])
    expect(await verified(file)).toMatchObject({ ok: true, records: 5, prunedBefore: 3 })
    rmSync(`${file}.2`)
    expect((await verified(file)).problems).toMatchObject([{ line: 1, kind: 'removed', seq: 5 }])
  })

  it('removes parts that are too old, and only from the oldest on', async () => {
    const folder = temporaryFolder()
    const first = await run(folder, { maxBytes: 1000 })
    await first.add(7)
    await first.log.close()
    const { file } = first
    for (const [number, days] of [
      [3, 9],
      [2, 1],
      [1, 9],
    ] as const) {
      const at = START / 1000 - days * 86_400
      utimesSync(`${file}.${number}`, at, at)
    }
    const { log, pruned } = await run(folder, { maxAgeMs: 7 * 86_400_000 })
    await expect.poll(() => pruned).toEqual([['audit.jsonl.3']])
    await log.close()
    expect(partsOf(file)).toHaveLength(3)
    expect((await verified(file)).ok).toBe(true)
  })

  /**
   * The process is killed between two renames. Whatever the moment: no part is written over, the chain is
   * whole, and the next rotation closes the gap.
   */
  it.each([1, 2, 3])('goes on when it was cut short after %d renames', async steps => {
    const folder = temporaryFolder()
    const first = await run(folder, { maxBytes: 1000 })
    await first.add(7)
    await first.log.close()
    const { file } = first
    // As `shift` renames: the oldest first.
    const moves = [
      [`${file}.3`, `${file}.4`],
      [`${file}.2`, `${file}.3`],
      [`${file}.1`, `${file}.2`],
    ] as const
    for (const [from, to] of moves.slice(0, steps)) renameSync(from, to)
    expect(await verified(file)).toMatchObject({ ok: true, records: 7 })
    const second = await run(folder, { maxBytes: 1000 })
    await second.add(4)
    await second.log.close()
    expect(await verified(file)).toMatchObject({ ok: true, records: 11 })
    expect(partsOf(file).map(part => path.basename(part))).toEqual([
      ...[5, 4, 3, 2, 1].map(number => `audit.jsonl.${number}`),
      'audit.jsonl',
    ])
  })

  it('goes on when there is no file after the last rename', async () => {
    const folder = temporaryFolder()
    const first = await run(folder, { maxBytes: 1000 })
    await first.add(4)
    await first.log.close()
    renameSync(`${first.file}.1`, `${first.file}.2`)
    renameSync(first.file, `${first.file}.1`)
    const second = await run(folder, { maxBytes: 1000 })
    await second.add(1)
    await second.log.close()
    expect(await verified(first.file)).toMatchObject({ ok: true, records: 5 })
  })

  it('is not told of a part twice that was being put away when the process was killed', async () => {
    const folder = temporaryFolder()
    const { file, log, add } = await run(folder, { maxBytes: 1000 })
    await add(4)
    await log.close()
    writeFileSync(`${file}.1.gz`, gzipSync(readFileSync(`${file}.1`)))
    expect(await verified(file)).toMatchObject({ ok: true, records: 4 })
    const second = await run(folder, { maxBytes: 1000, compress: true })
    await expect.poll(() => existsSync(`${file}.1`)).toBe(false)
    await second.log.close()
    expect(await verified(file)).toMatchObject({ ok: true, records: 4 })
  })

  it('writes on into the same file when it cannot be moved, and says so', async () => {
    // `.1` behind it would be a longer name than there can be.
    const file = path.join(temporaryFolder(), 'a'.repeat(254))
    const { log, add, trouble } = await run(file, { maxBytes: 1000 })
    await add(7)
    await log.close()
    expect(trouble.filter(what => what === 'rotation_failed')).toHaveLength(1)
    expect(await verify([file])).toMatchObject({ ok: true, records: 7 })
  })

  it('is read whole while it goes on', async () => {
    const { file, log, add } = await run(temporaryFolder(), { maxBytes: 2000, compress: true })
    await add(20)
    let isOver = false
    const writing = add(1500).then(() => {
      isOver = true
    })
    let looked = 0
    for (; !isOver; looked++) {
      const result = await verify(() => partsOf(file))
      expect(result.problems).toEqual([])
    }
    await writing
    expect(looked).toBeGreaterThan(2)
    await log.close()
    expect(await verified(file)).toMatchObject({ ok: true, records: 1520 })
  })

  it('knows a missing part from retention', async () => {
    const { file, log, add } = await run(temporaryFolder(), { maxBytes: 1000 })
    await add(7)
    await log.close()
    rmSync(`${file}.2`)
    expect((await verified(file)).problems).toMatchObject([{ file: `${file}.1`, line: 1, kind: 'removed' }])
  })

  it('finds what was changed in a packed part, and one that cannot be unpacked', async () => {
    const { file, log, add } = await run(temporaryFolder(), { maxBytes: 1000 })
    await add(5)
    await log.close()
    const part = readFileSync(`${file}.2`, 'utf8')
    rmSync(`${file}.2`)
    writeFileSync(`${file}.2.gz`, gzipSync(part.replace('"number":1', '"number":9')))
    expect((await verified(file)).problems).toMatchObject([
      { file: `${file}.2.gz`, line: 2, kind: 'changed', seq: 2 },
    ])
    writeFileSync(`${file}.2.gz`, gzipSync(part).subarray(0, -30))
    const [problem] = (await verified(file)).problems
    expect(problem).toMatchObject({ file: `${file}.2.gz`, kind: 'torn' })
  })
})

describe('a file that is taken away under us', () => {
  it('is begun anew when it was removed, with what was just written', async () => {
    const { file, log, add, trouble } = await run(temporaryFolder(), {})
    await add(2)
    rmSync(file)
    await add(2)
    await log.close()
    expect(linesIn(file).map(line => JSON.parse(line).chain.seq)).toEqual([3, 4])
    expect(trouble).toEqual(['file_gone'])
    expect((await verified(file)).problems).toMatchObject([{ line: 1, kind: 'removed', seq: 3 }])
  })

  it('loses nothing when it or its folder was moved', async () => {
    const outer = temporaryFolder()
    const folder = path.join(outer, 'log')
    const { file, log, add } = await run(folder, {})
    await add(2)
    renameSync(file, `${file}.moved`)
    await add(2)
    renameSync(folder, path.join(outer, 'elsewhere'))
    await add(2)
    await log.close()
    const elsewhere = path.join(outer, 'elsewhere')
    const all = [path.join(elsewhere, 'audit.jsonl.moved'), path.join(elsewhere, 'audit.jsonl'), file]
    expect(await verify(all)).toMatchObject({ ok: true, records: 6 })
  })
})
