import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import type { ReplaySummary } from '../../src/policy/replay/replay.ts'
import type { Explained } from '../../src/toolbox/explain.ts'
import {
  type AuditRecord,
  CLI,
  type CommandResult,
  chat,
  REFERENCE_POLICIES,
  type RunningGateway,
  startGateway,
  stopAll,
  writeFiles,
} from '../support/gateway.ts'

const KEYS = [
  { principal: 'dev', roles: ['developer'], team: 'search' },
  { principal: 'stranger', roles: [] },
]
const policy = (body: string) => ({ 'gateway.rego': `package gateway\n\n${body}\n` })
/** The same as what is open, but for one principal. */
const NOT_FOR_DEV = policy(
  'default decision := {"allow": false, "rule": "closed", "code": "outside_hours"}\n\ndecision := {"allow": true, "rule": "open"} if input.principal.id != "dev"',
)
const READS_CONTENT = policy(
  'decision := {"allow": true, "rule": "read"} if every m in input.request.body.messages { m.content != "bad" }',
)

let model: TinySlm
beforeAll(async () => {
  model = await startTinySlm({ tokensPerSecond: 1000 })
})
afterEach(stopAll)
afterAll(() => model.close())

/** @returns The decision that the gateway made of it. */
async function ask(gateway: RunningGateway, body: object = {}, key = gateway.keys.dev): Promise<AuditRecord> {
  const response = await chat(gateway, { key, body })
  await response.arrayBuffer()
  const id = response.headers.get('x-decision-id')
  return gateway.audited(record => record.event === 'decision' && record.decision_id === id)
}

const json = <T>({ stdout }: CommandResult): T => JSON.parse(stdout) as T

describe('explain', () => {
  const explain = async (gateway: RunningGateway, ...args: string[]) => {
    const result = await gateway.command('explain', '--format', 'json', ...args)
    return { code: result.code, ...json<Explained>(result) }
  }
  const recordFile = (gateway: RunningGateway, id: string): string => {
    const line = readFileSync(path.join(gateway.folder, 'audit.jsonl'), 'utf8')
      .split('\n')
      .find(text => text.startsWith(`{"event":"decision","decision_id":"${id}"`))
    writeFileSync(path.join(gateway.folder, 'record.json'), `${line}\n`)
    return 'record.json'
  }

  it('takes a record of a refusal, and says which rules were tried and what would have to be different', async () => {
    const gateway = await startGateway({ policy: REFERENCE_POLICIES, targets: [model.url], keys: KEYS })
    const record = await ask(gateway, { model: 'tiny-large' })
    const found = await explain(gateway, recordFile(gateway, record.decision_id ?? ''))
    expect(found).toMatchObject({
      code: 0,
      decision: record.result,
      revision: record.bundles.gateway.revision,
      recorded: { decision_id: record.decision_id, same: true },
      masked: [],
      notes: [],
    })
    const models = readFileSync(path.join(REFERENCE_POLICIES, 'gateway/models.rego'), 'utf8').split('\n')
    const line = 1 + models.findIndex(text => text.includes('in tables.roles[role].models'))
    const rule = found.rules.find(
      ({ name, failed }) => name === 'data.gateway.models._covers' && failed?.line === line,
    )
    expect(rule).toMatchObject({
      file: expect.stringMatching(/policies\/gateway\/models\.rego$/),
      line,
      outcome: false,
      failed: { values: { 'input.request.model': 'tiny-large', role: 'developer' } },
    })
    expect(found.needed.map(({ expression }) => expression)).toContain(
      'input.request.model in tables.roles[role].models',
    )

    const pretty = await gateway.command('explain', 'audit.jsonl', '--decision', record.decision_id ?? '')
    expect(pretty.code).toBe(0)
    expect(pretty.stdout).toContain('refused: 403 access_required (models)')
    expect(pretty.stdout).toContain(`models.rego:${line}: input.request.model is "tiny-large"`)
  })

  it('takes a record of an allow, an input document and a request, also from stdin', async () => {
    const gateway = await startGateway({ policy: REFERENCE_POLICIES, targets: [model.url], keys: KEYS })
    const record = await ask(gateway)
    expect(await explain(gateway, recordFile(gateway, record.decision_id ?? ''))).toMatchObject({
      code: 0,
      decision: { allow: true, rule: 'developer_always' },
      needed: [],
    })
    writeFiles(gateway.folder, {
      'input.json': JSON.stringify(record.input),
      'part.json':
        '{"request": {"model": "tiny", "tls": true}, "principal": {"roles": []}, "time": {"now_ns": 1}}',
      'request.json': '{"model": "tiny"}',
      'case.json':
        '{"principal": {"id": "lea", "roles": ["analyst"]}, "request": {"model": "tiny"}, "at": "2026-03-07T12:00:00Z"}',
    })
    expect(await explain(gateway, 'input.json')).toMatchObject({ decision: { allow: true }, recorded: null })
    expect(await explain(gateway, 'part.json')).toMatchObject({ code: 0, decision: { allow: false } })
    expect(await explain(gateway, 'request.json')).toMatchObject({ decision: { status: 401 } })
    expect(await explain(gateway, 'case.json')).toMatchObject({ decision: { code: 'outside_hours' } })
    const fromStdin = execFileSync(process.execPath, [CLI, 'explain', '-', '--format', 'json'], {
      cwd: gateway.folder,
      input: '{"model": "tiny", "principal": {"id": "ana", "roles": ["admin"]}}',
      encoding: 'utf8',
    })
    expect(JSON.parse(fromStdin)).toMatchObject({ decision: { allow: true } })
  })

  it('says when the record is of another revision, and when the policy looks at what is not in it', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    const record = await ask(gateway)
    writeFiles(path.join(gateway.folder, 'next'), READS_CONTENT)
    const found = await explain(gateway, recordFile(gateway, record.decision_id ?? ''), '--policy', 'next')
    expect(found).toMatchObject({
      decision: null,
      error: { code: 'policy_error' },
      recorded: { revision: record.bundles.gateway.revision, same: false },
      masked: ['/input/request/body/messages'],
    })
    expect(found.notes).toHaveLength(2)
    expect(found.revision).not.toBe(record.bundles.gateway.revision)
  })

  it('says of a request that was refused before the policy that the policy was not asked', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    const record = await ask(gateway, {}, 'slp_nobody')
    expect(await explain(gateway, recordFile(gateway, record.decision_id ?? ''))).toMatchObject({
      code: 0,
      decision: null,
      error: { code: 'unauthenticated' },
      rules: [],
    })
  })

  it('decides by a bundle, and says that rules need the sources', async () => {
    const gateway = await startGateway({ policy: REFERENCE_POLICIES, targets: [model.url], keys: KEYS })
    const record = await ask(gateway, { model: 'tiny-large' })
    expect((await gateway.command('build', '-o', 'bundle.tar.gz')).code).toBe(0)
    const found = await explain(
      gateway,
      recordFile(gateway, record.decision_id ?? ''),
      '--policy',
      'bundle.tar.gz',
    )
    expect(found).toMatchObject({ code: 0, decision: record.result, rules: [], masked: [] })
    expect(found.notes[0]).toContain('sources')
  })

  it('ends with 3 for what cannot be read and 2 for what it cannot be asked', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    await ask(gateway)
    writeFiles(gateway.folder, { 'broken.json': '{"input"', 'odd.json': '{"modle": "tiny"}' })
    const code = async (...args: string[]) => (await gateway.command('explain', ...args)).code
    expect(await code('gone.json')).toBe(3)
    expect(await code('audit.jsonl', '--decision', 'none')).toBe(3)
    expect(await code('broken.json')).toBe(2)
    expect(await code('audit.jsonl')).toBe(2)
    expect(await code('odd.json')).toBe(2)
    expect(await code('odd.json', '--policy', 'nowhere')).toBe(2)
    expect(await code()).toBe(2)
    expect(await code('odd.json', '--config', 'nowhere.json')).toBe(2)
  })
})

describe('replay', () => {
  const replay = async (gateway: RunningGateway, ...args: string[]) => {
    const result = await gateway.command('replay', '--format', 'json', ...args)
    return { code: result.code, ...json<ReplaySummary>(result) }
  }

  it('finds no flip with the policy that decided, and the right ones with another', async () => {
    const gateway = await startGateway({ targets: [model.url], keys: KEYS })
    await ask(gateway)
    await ask(gateway, {}, gateway.keys.stranger)
    const last = await ask(gateway)
    await ask(gateway, {}, 'slp_nobody')
    expect(await replay(gateway, 'audit.jsonl')).toMatchObject({
      code: 0,
      records: 3,
      decided: 3,
      flips: 0,
      masked: 0,
      torn: 0,
      groups: [],
    })
    writeFiles(path.join(gateway.folder, 'next'), NOT_FOR_DEV)
    const found = await replay(gateway, 'audit.jsonl', '--policy', 'next')
    expect(found).toMatchObject({ code: 1, records: 3, decided: 3, flips: 2 })
    expect(found.groups).toMatchObject([
      {
        rule: 'closed',
        principal: 'dev',
        model: 'tiny',
        count: 2,
        example: {
          old: { allow: true, rule: 'open' },
          new: { allow: false, code: 'outside_hours', status: 403 },
        },
      },
    ])
    expect((await replay(gateway, 'audit.jsonl', '--policy', 'next', '--max-flips', '2')).code).toBe(0)
    const pretty = await gateway.command('replay', 'audit.jsonl', '--policy', 'next')
    expect(pretty.code).toBe(1)
    expect(pretty.stdout).toMatch(/2 +closed +dev +tiny +allow \(open\) -> 403 outside_hours \(closed\)/)
    expect(pretty.stderr).toBe('')
    expect(last.result).toEqual({ allow: true, rule: 'open' })
  })

  it('decides with the clock of each record', async () => {
    const now = policy('decision := {"allow": true, "rule": sprintf("at-%d", [time.now_ns()])}')
    const gateway = await startGateway({ policy: now, targets: [model.url] })
    await ask(gateway)
    const second = await ask(gateway)
    const clocked = (record: AuditRecord) => BigInt(record.result.rule.slice(3))
    const until = clocked(second) + 1n
    writeFiles(path.join(gateway.folder, 'next'), policy(`decision := {"allow": time.now_ns() < ${until}}`))
    expect(await replay(gateway, 'audit.jsonl', '--policy', 'next')).toMatchObject({
      code: 0,
      decided: 2,
      flips: 0,
    })
    writeFiles(path.join(gateway.folder, 'next'), policy(`decision := {"allow": time.now_ns() >= ${until}}`))
    expect(await replay(gateway, 'audit.jsonl', '--policy', 'next')).toMatchObject({
      code: 1,
      decided: 2,
      flips: 2,
    })
  })

  it('counts apart what it would have to guess, and decides it where the content was kept', async () => {
    const keeping = policy(
      'decision := {"allow": true, "audit": {"content": c}} if c := object.get({true: "request"}, input.request.body.keep, "none")',
    )
    const gateway = await startGateway({ policy: keeping, targets: [model.url] })
    await ask(gateway)
    await ask(gateway, { keep: true })
    await ask(gateway, { keep: true, messages: [{ role: 'user', content: 'bad' }] })
    writeFiles(path.join(gateway.folder, 'next'), READS_CONTENT)
    const found = await replay(gateway, 'audit.jsonl', '--policy', 'next')
    expect(found).toMatchObject({ code: 1, records: 3, decided: 2, masked: 1, flips: 1 })
    expect(found.groups).toMatchObject([{ rule: 'policy_error', count: 1 }])
  })

  it('knows of a bundle too what it looks at, if sallyport built it', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    await ask(gateway)
    expect((await gateway.command('build', '-o', 'bundle.tar.gz')).code).toBe(0)
    expect(await replay(gateway, 'audit.jsonl', '--policy', 'bundle.tar.gz')).toMatchObject({
      decided: 1,
      masked: 0,
    })
  })

  it('reads rotated parts, packed or not, and a last line that is torn', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    for (let request = 0; request < 3; request++) await ask(gateway)
    await gateway.stop()
    const file = path.join(gateway.folder, 'audit.jsonl')
    copyFileSync(file, `${file}.1`)
    writeFileSync(`${file}.2`, gzipSync(readFileSync(file)))
    appendFileSync(file, '{"event":"decision","decision_id":"01HALF')
    expect(await replay(gateway, 'audit.jsonl')).toMatchObject({ code: 0, records: 9, decided: 9, torn: 1 })
    expect(await replay(gateway, 'audit.jsonl', 'audit.jsonl.1')).toMatchObject({ records: 9 })
    expect(await replay(gateway, 'audit.jsonl.1')).toMatchObject({ records: 3 })
  })

  it('ends with 3 for a log that is not there and 2 for what is no number', async () => {
    const gateway = await startGateway({ targets: [model.url] })
    const code = async (...args: string[]) => (await gateway.command('replay', ...args)).code
    expect(await code('gone.jsonl')).toBe(3)
    expect(await code('audit.jsonl', '--max-flips', 'x')).toBe(2)
    expect(await code('audit.jsonl', '--policy', 'nowhere')).toBe(2)
    expect(await code()).toBe(2)
    writeFiles(path.join(gateway.folder, 'next'), policy('decision := {"allow": missing(1)}'))
    expect(await code('audit.jsonl', '--policy', 'next')).toBe(3)
  })
})

describe('an activation that replays', () => {
  const config = { policy: { activation: { replay: { last: 100, maxFlips: 0 } } } }

  it('refuses a policy that flips what was decided lately, and takes one that does not', async () => {
    const gateway = await startGateway({ targets: [model.url], config })
    for (let request = 0; request < 2; request++) await ask(gateway)
    const before = (await gateway.status()).policy.revision
    gateway.writePolicy(NOT_FOR_DEV)
    const refused = await gateway.logged('policy_refused')
    expect(refused.diagnostics).toMatchObject([
      { code: 'too_many_flips', message: '2 of the last 2 decisions flip; 0 may' },
      { code: 'too_many_flips', message: expect.stringContaining('2 of dev for tiny, by closed') },
    ])
    const { policy: status } = await gateway.status()
    expect(status.revision).toBe(before)
    expect(status.attempts[0].steps.at(-1).name).toBe('replay')
    expect((await ask(gateway)).result.rule).toBe('open')

    gateway.writePolicy(policy('decision := {"allow": true, "rule": "other"}'))
    await gateway.logged('policy_activated', line => line.revision !== before)
    expect((await ask(gateway)).result.rule).toBe('other')
  })
})

describe('bench', () => {
  it('says what deciding costs', async () => {
    const gateway = await startGateway({ policy: REFERENCE_POLICIES, targets: [model.url] })
    const result = await gateway.command('bench', '--decisions', '200', '--format', 'json')
    expect(result.code).toBe(0)
    const found = json<Record<string, number> & { memory_bytes: Record<string, number> }>(result)
    expect(found).toMatchObject({ decisions: 200, revision: (await gateway.status()).policy.revision })
    expect(found.median_us).toBeGreaterThan(0)
    expect(found.p99_us).toBeGreaterThanOrEqual(found.median_us as number)
    expect(found.memory_bytes.before).toBeGreaterThan(0)
    expect(found.memory_bytes.after).toBeGreaterThan(0)
    expect((await gateway.command('bench')).stdout).toContain('99th percentile')
    expect((await gateway.command('bench', '--decisions', '0')).code).toBe(2)
  })
})
