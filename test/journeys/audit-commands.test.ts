import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { GENESIS, type Link } from '../../src/audit/chain.ts'
import { decisionRecord, eventRecord, type Outcome, outcomeRecord } from '../../src/audit/record.ts'
import { seal } from '../support/audit-file.ts'
import { temporaryFolder } from '../support/folder.ts'
import { CLI, runCommand } from '../support/gateway.ts'

const START = Date.parse('2026-01-01T10:00:00Z')

/** A log that is written as a gateway would. */
function logIn(folder: string) {
  const file = path.join(folder, 'audit.jsonl')
  let link: Link = GENESIS
  let number = 0
  const write = (record: string): void => {
    const sealed = seal(record, link)
    link = sealed.link
    appendFileSync(file, `${sealed.line}\n`)
  }
  const decide = (id: string, principal: string, model: string, at: number, code?: string): void =>
    write(
      decisionRecord({
        id,
        requestId: id,
        at,
        path: 'gateway/decision',
        requestedBy: '10.0.0.1',
        http: { method: 'POST', path: '/v1/chat/completions', ...(code ? { status: 403 } : {}) },
        revision: 'r1',
        labels: '{}',
        principal: JSON.stringify({ id: principal, team: 'search' }),
        input: JSON.stringify({ request: { model, operation: 'chat', stream: false } }),
        result: JSON.stringify({ allow: code === undefined, rule: code ? 'closed' : 'open' }),
        erased: [],
        limits: [],
        evalNs: 12_000,
        code,
      }),
    )
  const end = (id: string, at: number, ms: number, outcome: Outcome = 'completed'): void =>
    write(
      outcomeRecord({
        id,
        at,
        outcome,
        http: { status: 200, bytes_in: 10, bytes_out: 20 },
        pool: 'chat',
        target: 'http://127.0.0.1:1',
        usage: { input_tokens: 10, output_tokens: 5, cost: 0.25, estimated: false },
        timings: { decide: 0.01, queue: 0, first_byte: 1, total: ms },
      }),
    )
  return {
    file,
    event: (name: string) => write(eventRecord(name, START)),
    served(principal: string, model = 'tiny', { at = START, ms = 100 } = {}) {
      const id = `d${++number}`
      decide(id, principal, model, at)
      end(id, at + ms, ms)
      return id
    },
    refused(principal: string, model = 'tiny', at = START) {
      const id = `d${++number}`
      decide(id, principal, model, at, 'forbidden')
      return id
    },
    open(principal: string) {
      const id = `d${++number}`
      decide(id, principal, 'tiny', START)
      return id
    },
    end: (id: string) => end(id, START, 5),
    /** As the gateway rotates. */
    rotate(packed = false) {
      if (packed) writeFileSync(`${file}.1.gz`, gzipSync(readFileSync(file)))
      else renameSync(file, `${file}.1`)
      if (packed) writeFileSync(file, '')
    },
  }
}

const audit = (...args: string[]) => runCommand(['audit', ...args])
const json = async (...args: string[]) => JSON.parse((await audit(...args)).stdout)

describe('audit stats', () => {
  it('sums up per principal, model, rule and hour, over rotated and packed parts', async () => {
    const log = logIn(temporaryFolder())
    log.event('gateway.started')
    for (let ms = 1; ms <= 99; ms++) log.served('ana', 'tiny', { ms })
    log.rotate(true)
    log.served('bob', 'large', { at: START + 3_600_000, ms: 1000 })
    log.refused('bob')
    log.open('ana')
    const stats = await json('stats', log.file, '--format', 'json')
    expect(stats.total).toMatchObject({
      requests: 102,
      refused: 1,
      failed: 0,
      input_tokens: 1000,
      output_tokens: 500,
      cost: 25,
    })
    expect(stats.by_principal).toMatchObject([
      { principal: 'ana', requests: 100, refused: 0 },
      { principal: 'bob', requests: 2, refused: 1 },
    ])
    expect(
      stats.by_model.map((group: { model: string; requests: number }) => [group.model, group.requests]),
    ).toEqual([
      ['tiny', 101],
      ['large', 1],
    ])
    expect(stats.by_rule).toMatchObject([{ rule: 'open' }, { rule: 'closed', refused: 1 }])
    expect(stats.by_hour).toMatchObject([
      { hour: '2026-01-01T10:00:00Z', requests: 101 },
      { hour: '2026-01-01T11:00:00Z', requests: 1 },
    ])
    const { latency } = stats.by_principal[0]
    expect(latency.p50 / 50).toBeCloseTo(1, 1)
    expect(latency.p99 / 98).toBeCloseTo(1, 1)

    const ofBob = await json(
      'stats',
      log.file,
      '--format',
      'json',
      '--principal',
      'bob',
      '--since',
      '2026-01-01T11:00:00Z',
    )
    expect(ofBob.total.requests).toBe(1)
    const { stdout, stderr } = await audit('stats', log.file)
    expect(stdout).toMatch(/^ana +100 +0 +0 /m)
    // No progress where nobody looks.
    expect(stderr).toBe('')
  })

  it('says what is wrong with a filter, and with a log that is not there', async () => {
    const folder = temporaryFolder()
    expect(await audit('stats', path.join(folder, 'x'), '--since', 'lately')).toMatchObject({ code: 2 })
    expect(await audit('stats', path.join(folder, 'x'))).toMatchObject({ code: 3 })
  })
})

describe('audit export', () => {
  it('writes one row a request, with the same columns every time', async () => {
    const log = logIn(temporaryFolder())
    log.event('gateway.started')
    log.served('ana')
    log.rotate()
    log.refused('bob')
    const { stdout } = await audit('export', log.file)
    const [header, ...rows] = stdout.trimEnd().split('\r\n') as [string, ...string[]]
    expect(header.split(',').slice(0, 4)).toEqual(['timestamp', 'decision_id', 'request_id', 'principal'])
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(row.split(',')).toHaveLength(header.split(',').length)
    const ndjson = (await audit('export', log.file, '--format', 'ndjson')).stdout.trimEnd().split('\n')
    expect(ndjson.map(line => JSON.parse(line))).toMatchObject([
      { principal: 'ana', outcome: 'completed', status: 200, total_ms: 100, input_tokens: 10, allow: true },
      { principal: 'bob', outcome: 'refused', code: 'forbidden', status: 403, total_ms: null, allow: false },
    ])
    expect(Object.keys(JSON.parse(ndjson[1] as string))).toEqual(header.split(','))
  })

  /** A caller picks a name that a spreadsheet would run as a formula when the operator opens the export. */
  it('gives a spreadsheet nothing to run, and no cell that ends early', async () => {
    const log = logIn(temporaryFolder())
    for (const model of ['=HYPERLINK("http://x","y")', '+1', '-1', '@SUM(A1)', '\t=1', 'a"b,c\r\nd'])
      log.served('ana', model)
    const { stdout } = await audit('export', log.file)
    expect(stdout).toContain(`"'=HYPERLINK(""http://x"",""y"")"`)
    expect(stdout).toContain(`,'+1,`)
    expect(stdout).toContain(`,'-1,`)
    expect(stdout).toContain(`,'@SUM(A1),`)
    expect(stdout).toContain(`,'\t=1,`)
    expect(stdout).toContain('"a""b,c\r\nd"')
  })

  it('writes a file, and stops in peace when its reader does', async () => {
    const folder = temporaryFolder()
    const log = logIn(folder)
    for (let number = 0; number < 3000; number++) log.refused('ana')
    const output = path.join(folder, 'out.csv')
    expect(await audit('export', log.file, '-o', output)).toMatchObject({ code: 0, stdout: '' })
    expect(readFileSync(output, 'utf8').trimEnd().split('\r\n')).toHaveLength(3001)
    const child = spawn('sh', [
      '-c',
      `"$0" "$1" audit export "$2" | head -1; exit 0`,
      process.execPath,
      CLI,
      log.file,
    ])
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    await new Promise(resolve => child.once('close', resolve))
    expect(stderr).toBe('')
  })
})

describe('audit tail', () => {
  it('shows the latest, as many as were asked for, and only what was asked for', async () => {
    const log = logIn(temporaryFolder())
    for (let number = 0; number < 300; number++) log.served(number % 100 === 0 ? 'ana' : 'bob')
    log.rotate()
    const id = log.refused('bob')
    const { stdout } = await audit('tail', log.file, '-n', '3')
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[2]).toContain(id)
    expect(lines[2]).toContain('refused 403 forbidden')
    expect(stdout).not.toContain('\u001b')
    const ofAna = await audit('tail', log.file, '--principal', 'ana', '--format', 'json')
    const records = ofAna.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(records.map(record => record.event)).toEqual([
      'decision',
      'outcome',
      'decision',
      'outcome',
      'decision',
      'outcome',
    ])
    expect((await audit('tail', log.file, '--refused')).stdout.trimEnd().split('\n')).toHaveLength(1)
  })

  it('lets no caller steer the terminal', async () => {
    const log = logIn(temporaryFolder())
    log.served('ana', '\u001b[2Jgone\u009b31m\u202e')
    for (const command of ['tail', 'stats'])
      expect((await audit(command, log.file)).stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })

  it('follows what is written, over rotations, each request once', async () => {
    const log = logIn(temporaryFolder())
    const open = log.open('ana')
    log.served('ana')
    const child = spawn(process.execPath, [CLI, 'audit', 'tail', '--follow', '-n', '1', log.file])
    onTestFinished(() => void child.kill('SIGKILL'))
    let shown = ''
    child.stdout.on('data', chunk => {
      shown += chunk
    })
    const ids = () =>
      shown
        .trimEnd()
        .split('\n')
        .map(line => line.split(' ').at(-1))
    await expect.poll(ids).toEqual(['d2'])
    log.end(open)
    await expect.poll(ids).toEqual(['d2', open])
    log.served('bob')
    log.rotate()
    log.served('bob')
    await expect.poll(ids).toEqual(['d2', open, 'd3', 'd4'])
    // Faster than it looks: two rotations at once, the older part packed.
    log.served('bob')
    renameSync(`${log.file}.1`, `${log.file}.3`)
    writeFileSync(`${log.file}.2.gz`, gzipSync(readFileSync(log.file)))
    writeFileSync(`${log.file}.1`, '')
    renameSync(log.file, `${log.file}.0`)
    log.served('bob')
    await expect.poll(ids).toEqual(['d2', open, 'd3', 'd4', 'd5', 'd6'])
    child.kill('SIGINT')
    await new Promise(resolve => child.once('close', resolve))
    expect(child.exitCode).toBe(0)
  })
})

describe('audit verify', () => {
  it('takes the files of a log in any order, with or without its parts', async () => {
    const log = logIn(temporaryFolder())
    log.served('ana')
    log.rotate(true)
    log.served('bob')
    const { file } = log
    const { seq } = JSON.parse(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) as string).chain
    for (const files of [[file], [file, `${file}.1.gz`], [`${file}.1.gz`, file]])
      expect(await json('verify', ...files, '--format', 'json')).toMatchObject({ ok: true, records: seq })
  })
})
