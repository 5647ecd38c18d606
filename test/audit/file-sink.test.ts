import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createFileSink } from '../../src/audit/file-sink.ts'
import { verify } from '../../src/audit/verify.ts'
import { temporaryFolder } from '../support/folder.ts'

afterEach(() => void vi.useRealTimers())

const link = (seq: number) => ({ seq, hash: String(seq).repeat(64).slice(0, 64) })

function sinkIn(
  folder: string,
  members: { sync?: string; onTrouble?: (what: string, error: unknown) => void } = {},
) {
  const file = path.join(folder, 'audit.jsonl')
  return {
    file,
    sink: createFileSink({ path: file, sync: 'never', now: Date.now, onTrouble: () => {}, ...members }),
  }
}

describe('the audit file', () => {
  it('has the lines when append returns', () => {
    const { file, sink } = sinkIn(temporaryFolder())
    sink.append(Buffer.from('{"a":1}\n{"ü":2}\n'), link(2))
    expect(readFileSync(file, 'utf8')).toBe('{"a":1}\n{"ü":2}\n')
    sink.close()
  })

  it('is made with its folder, for its owner alone', () => {
    const { file, sink } = sinkIn(path.join(temporaryFolder(), 'var/log'))
    sink.close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  it('is gone on with and never written over', () => {
    const folder = temporaryFolder({ 'audit.jsonl': 'old\n' })
    const { file, sink } = sinkIn(folder)
    sink.append(Buffer.from('new\n'), link(2))
    sink.close()
    expect(readFileSync(file, 'utf8')).toBe('old\nnew\n')
  })

  it.each(['always', 'never', '1s'])('is the same with sync %s', sync => {
    const { file, sink } = sinkIn(temporaryFolder(), { sync })
    for (let seq = 1; seq <= 3; seq++) sink.append(Buffer.from(`${seq}\n`), link(seq))
    sink.close()
    expect(readFileSync(file, 'utf8')).toBe('1\n2\n3\n')
  })

  it('refuses to be opened where it cannot be', () => {
    const folder = temporaryFolder()
    mkdirSync(path.join(folder, 'audit.jsonl'))
    expect(() => sinkIn(folder)).toThrow()
  })

  it('refuses an interval that is none when it is built', () => {
    expect(() => sinkIn(temporaryFolder(), { sync: 'sometimes' })).toThrow(RangeError)
  })

  /**
   * The disk fills up in the middle of a line. Half a line must not stay: the next one would be
   * written behind it, and both would be lost to whoever reads them.
   */
  it('holds whole lines only when the disk fills up, and goes on when there is room again', async () => {
    const file = path.join(temporaryFolder(), 'audit.jsonl')
    const worker = new URL('./full-disk.worker.ts', import.meta.url).pathname
    // The file may grow to some blocks of 512 or 1024 bytes and no further.
    const run = spawnSync(
      'sh',
      ['-c', `ulimit -f 16 && exec "$0" --import tsx "$1" "$2"`, process.execPath, worker, file],
      { encoding: 'utf8' },
    )
    expect(run.stderr).toBe('')
    const { written, refused } = JSON.parse(run.stdout) as { written: number; refused: number }
    expect(refused).toBeGreaterThan(0)
    expect(await verify([file])).toMatchObject({ ok: true, records: written, problems: [], anchored: true })
  })
})

describe('the head beside it', () => {
  it('names the last record soon after it was written', () => {
    vi.useFakeTimers()
    const { file, sink } = sinkIn(temporaryFolder())
    sink.append(Buffer.from('1\n'), link(1))
    sink.append(Buffer.from('2\n'), link(2))
    vi.advanceTimersByTime(1000)
    expect(JSON.parse(readFileSync(`${file}.head`, 'utf8'))).toEqual(link(2))
    sink.append(Buffer.from('3\n'), link(3))
    vi.advanceTimersByTime(1000)
    expect(JSON.parse(readFileSync(`${file}.head`, 'utf8'))).toEqual(link(3))
    sink.close()
  })

  it('names the last record of all when it is closed', () => {
    const { file, sink } = sinkIn(temporaryFolder())
    sink.append(Buffer.from('1\n'), link(1))
    sink.close()
    expect(JSON.parse(readFileSync(`${file}.head`, 'utf8'))).toEqual(link(1))
    expect(existsSync(`${file}.head.new`)).toBe(false)
  })

  it('is left alone by a run that wrote nothing', () => {
    const folder = temporaryFolder({ 'audit.jsonl.head': '{"seq":7}' })
    sinkIn(folder).sink.close()
    expect(readFileSync(path.join(folder, 'audit.jsonl.head'), 'utf8')).toBe('{"seq":7}')
  })

  it('that cannot be written is told, and stops no record', () => {
    vi.useFakeTimers()
    const folder = temporaryFolder()
    const failures: unknown[] = []
    const { file, sink } = sinkIn(folder, { onTrouble: what => failures.push(what) })
    mkdirSync(`${file}.head.new`)
    sink.append(Buffer.from('1\n'), link(1))
    vi.advanceTimersByTime(1000)
    sink.append(Buffer.from('2\n'), link(2))
    expect(failures).toEqual(['head_failed'])
    expect(readFileSync(file, 'utf8')).toBe('1\n2\n')
    rmSync(`${file}.head.new`, { recursive: true })
    vi.advanceTimersByTime(1000)
    expect(JSON.parse(readFileSync(`${file}.head`, 'utf8'))).toEqual(link(2))
    sink.close()
  })
})
