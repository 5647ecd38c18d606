import { describe, expect, it } from 'vitest'
import { GENESIS, type Link } from '../../src/audit/chain.ts'
import { createFileSink } from '../../src/audit/file-sink.ts'
import { type Channel, createAuditLog, type Sink } from '../../src/audit/log.ts'
import { verify } from '../../src/audit/verify.ts'
import { linesIn } from '../support/audit-file.ts'
import { temporaryFolder } from '../support/folder.ts'
import { rejectionOf } from '../support/thrown.ts'

/** A disk that can be full: what it took, batch by batch. */
function disk() {
  const batches: string[] = []
  const state = { full: false, closed: false }
  const sink = {
    append(lines: Buffer, _link: Link) {
      if (state.full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      batches.push(lines.toString())
    },
    async close() {
      state.closed = true
    },
  }
  return { batches, state, sink }
}

const channelOf = (sink: Sink, members: Partial<Channel> = {}): Channel => ({
  type: 'file',
  name: 'file',
  sink,
  from: GENESIS,
  decides: true,
  ...members,
})

function logOn(sink: Sink | readonly Channel[], onFailure: 'refuse' | 'allow' = 'refuse') {
  const counted: [number, string][] = []
  const changes: boolean[] = []
  const log = createAuditLog({
    channels: 'append' in sink ? [channelOf(sink)] : sink,
    onFailure,
    now: () => 0,
    onRecords: (_, count, outcome) => counted.push([count, outcome]),
    onStateChange: (_, ok) => changes.push(ok),
  })
  return { log, counted, changes }
}
const record = (number: number): string => `{"event":"e${number}"}`
const eventsIn = (lines: string): string[] =>
  lines
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).event)

describe('the audit log', () => {
  it('writes the records of one turn together, in the order they came', async () => {
    const { batches, sink } = disk()
    const { log, counted } = logOn(sink)
    await Promise.all([1, 2, 3].map(number => log.write(record(number))))
    await log.write(record(4))
    expect(batches.map(eventsIn)).toEqual([['e1', 'e2', 'e3'], ['e4']])
    expect(counted).toEqual([
      [3, 'written'],
      [1, 'written'],
    ])
  })

  it('resolves when the sink has the line and not before', async () => {
    const { batches, sink } = disk()
    const { log } = logOn(sink)
    const written = log.write(record(1)).then(() => batches.length)
    expect(batches).toHaveLength(0)
    expect(await written).toBe(1)
  })

  it('chains what it writes, from where the last run left', async () => {
    const { batches, sink } = disk()
    const from = { seq: 41, hash: 'ab'.repeat(32) }
    const { log } = logOn([channelOf(sink, { from })])
    await log.write(record(1))
    expect(JSON.parse(batches[0] as string).chain).toMatchObject({ seq: 42, prev: 'ab'.repeat(32) })
    expect(log.state()).toMatchObject({ ok: true, seq: 42, lost: 0 })
  })

  it('refuses every record of a batch that could not be written', async () => {
    const { state, sink } = disk()
    const { log, counted, changes } = logOn(sink)
    state.full = true
    const errors = await Promise.all([1, 2].map(number => rejectionOf(log.write(record(number)))))
    for (const error of errors)
      expect(error).toMatchObject({ code: 'audit_unavailable', status: 503, retryAfterSeconds: 5 })
    expect(errors[0]?.cause).toMatchObject({ code: 'ENOSPC' })
    expect(log.state()).toMatchObject({ ok: false, seq: 0, lost: 0 })
    expect(counted).toEqual([[2, 'failed']])
    expect(changes).toEqual([false])
  })

  it('lets them through with onFailure allow, and counts what was lost', async () => {
    const { state, sink } = disk()
    const { log } = logOn(sink, 'allow')
    state.full = true
    await Promise.all([1, 2].map(number => log.write(record(number))))
    await log.write(record(3))
    expect(log.state()).toMatchObject({ ok: false, seq: 0, lost: 3 })
  })

  it('leaves no gap in the chain where a batch failed, and says once that it failed and once that it is well', async () => {
    const { batches, state, sink } = disk()
    const { log, changes } = logOn(sink)
    await log.write(record(1))
    state.full = true
    await rejectionOf(log.write(record(2)))
    await rejectionOf(log.write(record(3)))
    state.full = false
    await log.write(record(4))
    await log.write(record(5))
    const chain = batches.map(batch => JSON.parse(batch).chain)
    expect(chain.map(link => link.seq)).toEqual([1, 2, 3])
    expect(chain[1].prev).toBe(chain[0].hash)
    expect(log.state()).toMatchObject({ ok: true, seq: 3, lost: 0 })
    expect(changes).toEqual([false, true])
  })

  it('writes what waits when it is closed, and nothing after that', async () => {
    const { batches, state, sink } = disk()
    const { log } = logOn(sink)
    const last = log.write(record(1))
    log.close()
    await last
    expect(batches.map(eventsIn)).toEqual([['e1']])
    expect(state.closed).toBe(true)
  })

  it('refuses a record that comes after its file was closed, rather than lose it in silence', async () => {
    const path = `${temporaryFolder()}/audit.jsonl`
    const { log } = logOn(createFileSink({ path, sync: 'never', now: Date.now, onTrouble: () => {} }))
    log.close()
    expect(await rejectionOf(log.write(record(1)))).toMatchObject({ code: 'audit_unavailable' })
  })

  it('writes a file that can be verified, however many write at once', async () => {
    const path = `${temporaryFolder()}/audit.jsonl`
    const { log } = logOn(createFileSink({ path, sync: 'never', now: Date.now, onTrouble: () => {} }))
    await Promise.all(
      Array.from({ length: 50 }, async (_, writer) => {
        for (let number = 0; number < 10; number++)
          await log.write(JSON.stringify({ event: 'e', writer, number, text: 'ü\u2028\ud800' }))
      }),
    )
    log.close()
    expect(await verify([path])).toMatchObject({ ok: true, records: 500, problems: [], anchored: true })
    const ofOne = linesIn(path)
      .map(line => JSON.parse(line))
      .filter(line => line.writer === 7)
    expect(ofOne.map(line => line.number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  describe('with several sinks', () => {
    it('is written when every sink that decides has it, and each has a chain of its own', async () => {
      const [one, other] = [disk(), disk()]
      const later = { seq: 7, hash: 'cd'.repeat(32) }
      const { log } = logOn([
        channelOf(one.sink, { name: 'one' }),
        channelOf(other.sink, { name: 'other', from: later }),
      ])
      await log.write(record(1))
      expect(JSON.parse(one.batches[0] as string).chain.seq).toBe(1)
      expect(JSON.parse(other.batches[0] as string).chain).toMatchObject({ seq: 8, prev: later.hash })
      other.state.full = true
      expect(await rejectionOf(log.write(record(2)))).toMatchObject({ code: 'audit_unavailable' })
      expect(log.state()).toMatchObject({
        ok: false,
        seq: 2,
        sinks: [
          { name: 'one', ok: true, seq: 2, failed: 0 },
          { name: 'other', ok: false, seq: 8, failed: 1 },
        ],
      })
    })

    it('does not wait for one that does not decide', async () => {
      const [one, other] = [disk(), disk()]
      other.state.full = true
      const { log } = logOn([channelOf(one.sink), channelOf(other.sink, { name: 'http', decides: false })])
      await log.write(record(1))
      expect(log.state()).toMatchObject({ ok: true, lost: 0, sinks: [{ ok: true }, { ok: false }] })
    })

    it('gives each what its mask leaves', async () => {
      const [one, other] = [disk(), disk()]
      const { log } = logOn([channelOf(one.sink, { name: 'one' }), channelOf(other.sink, { name: 'other' })])
      await log.write(record(1), { mask: (_, { name }) => `{"event":"for ${name}"}` })
      expect([one, other].map(({ batches }) => eventsIn(batches[0] as string)[0])).toEqual([
        'for one',
        'for other',
      ])
    })
  })
})
