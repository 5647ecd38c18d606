import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { GENESIS, type Link } from '../../src/audit/chain.ts'
import { decisionRecord, eventRecord, outcomeRecord } from '../../src/audit/record.ts'
import { recover } from '../../src/audit/recover.ts'
import { verify } from '../../src/audit/verify.ts'
import { auditFile, seal, writeHead } from '../support/audit-file.ts'
import { temporaryFolder } from '../support/folder.ts'

const AT = Date.parse('2026-01-01T12:00:00Z')
const started = eventRecord('gateway.started', AT)
const stopped = eventRecord('gateway.stopped', AT)
const ended = (id: string): string => outcomeRecord({ id, at: AT, outcome: 'completed' })
const decided = (id: string, code?: string): string =>
  decisionRecord({
    id,
    requestId: id,
    at: AT,
    path: 'gateway/decision',
    requestedBy: '10.0.0.1',
    http: { method: 'POST', path: '/v1/chat/completions' },
    revision: 'r1',
    labels: '{}',
    erased: [],
    limits: [],
    evalNs: 5,
    code,
  })

/** Writes one more line, as the next run would. */
function goOn(file: string, from: Link): void {
  appendFileSync(file, `${seal(started, from).line}\n`)
}

describe('recover', () => {
  it('begins a chain where there is no file', async () => {
    expect(await recover(path.join(temporaryFolder(), 'audit.jsonl'))).toEqual({
      from: GENESIS,
      tornBytes: 0,
      open: [],
      missing: 0,
      clean: true,
    })
  })

  it('goes on where a clean run stopped', async () => {
    const { file, link } = auditFile([started, decided('d1'), ended('d1'), stopped])
    writeHead(file, link)
    expect(await recover(file)).toEqual({ from: link, tornBytes: 0, open: [], missing: 0, clean: true })
    goOn(file, link)
    expect((await verify([file])).ok).toBe(true)
  })

  it('cuts a torn last line off, and goes on behind the last whole one', async () => {
    const { file, link } = auditFile([started, decided('d1'), ended('d1')])
    const whole = statSync(file).size
    const half = seal(decided('d2'), link).line.slice(0, 100)
    appendFileSync(file, half)
    const recovery = await recover(file)
    expect(recovery).toMatchObject({ from: link, tornBytes: 100, open: [], clean: false })
    expect(statSync(file).size).toBe(whole)
    goOn(file, recovery.from)
    expect((await verify([file])).ok).toBe(true)
  })

  it('cuts at every byte at which a line can be torn, so that the chain goes on whole', async () => {
    const { file, lines, link } = auditFile([started])
    const next = seal('{"event":"ü☃🎉"}', link).line
    const bytes = Buffer.from(next)
    for (let length = 1; length <= bytes.length; length++) {
      writeFileSync(file, Buffer.concat([Buffer.from(`${lines[0]}\n`), bytes.subarray(0, length)]))
      const recovery = await recover(file)
      expect(recovery).toMatchObject({ from: link, tornBytes: length })
      expect(readFileSync(file, 'utf8')).toBe(`${lines[0]}\n`)
    }
  })

  it('names what was let through and never ended, and nothing else', async () => {
    const { file } = auditFile([
      started,
      decided('d1'),
      decided('d2', 'forbidden'),
      decided('d3'),
      decided('d4'),
      ended('d3'),
    ])
    expect((await recover(file)).open).toEqual(['d1', 'd4'])
  })

  it('does not name again what an earlier run closed', async () => {
    const { file } = auditFile([
      started,
      decided('d1'),
      eventRecord('gateway.recovered', AT),
      outcomeRecord({ id: 'd1', at: AT, outcome: 'interrupted' }),
      started,
      decided('d2'),
    ])
    expect((await recover(file)).open).toEqual(['d2'])
  })

  it('names what was let through before the run said that it had started', async () => {
    expect((await recover(auditFile([decided('d1'), started, decided('d2')]).file)).open).toEqual([
      'd1',
      'd2',
    ])
  })

  it('is not clean after a run that said no goodbye', async () => {
    expect((await recover(auditFile([started, decided('d1'), ended('d1')]).file)).clean).toBe(false)
    expect((await recover(auditFile([stopped, started]).file)).clean).toBe(false)
  })

  it('keeps a gap visible when the head knows of more than the file holds', async () => {
    const { file, lines, link } = auditFile([started, decided('d1'), ended('d1'), stopped])
    writeFileSync(file, `${lines[0]}\n`)
    writeHead(file, link)
    const recovery = await recover(file)
    expect(recovery).toMatchObject({ from: link, missing: 3, clean: false })
    goOn(file, recovery.from)
    writeHead(file, { seq: 5, hash: seal(started, link).link.hash })
    expect((await verify([file])).problems).toMatchObject([{ line: 2, kind: 'removed', seq: 5 }])
  })

  it('keeps a gap visible when the whole file is gone', async () => {
    const { file, link } = auditFile([started, stopped])
    writeFileSync(file, '')
    writeHead(file, link)
    expect(await recover(file)).toMatchObject({ from: link, missing: 2 })
  })

  it('goes on behind a changed line without hiding it', async () => {
    const { file, lines } = auditFile([started, decided('d1'), ended('d1')])
    writeFileSync(file, `${lines.map(line => line.replace('completed', 'c0mpleted')).join('\n')}\n`)
    const recovery = await recover(file)
    expect(recovery.from.seq).toBe(3)
    goOn(file, recovery.from)
    expect((await verify([file])).problems).toMatchObject([{ line: 3, kind: 'changed', seq: 3 }])
  })

  it('says what it did to the log even when it holds bytes that are no UTF-8', async () => {
    const { file, link } = auditFile([started])
    appendFileSync(file, Buffer.from([0xff, 0xfe, 0x80, 0xe2, 0x80]))
    expect(await recover(file)).toMatchObject({ from: link, tornBytes: 5 })
    expect((await verify([file])).ok).toBe(true)
  })
})
