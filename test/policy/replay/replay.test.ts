import { describe, expect, it } from 'vitest'
import { GENESIS } from '../../../src/audit/chain.ts'
import { decisionRecord, outcomeRecord } from '../../../src/audit/record.ts'
import type { Decision } from '../../../src/contract/decision.schema.ts'
import { GatewayError } from '../../../src/contract/errors.ts'
import { EngineError } from '../../../src/policy/engine/engine-error.ts'
import type { Reads } from '../../../src/policy/reads.ts'
import { READS_ANYTHING, readsFrom } from '../../../src/policy/reads.ts'
import { readQuickly, readRecorded } from '../../../src/policy/replay/recorded.ts'
import { type ReplayNeeds, type ReplaySummary, replayRecords } from '../../../src/policy/replay/replay.ts'
import { seal } from '../../support/audit-file.ts'

const NOW = 1795200662675
const ENTRYPOINT = 'gateway/decision'
const READS_NOTHING: Reads = readsFrom({ touched: [], whole: [] })

interface Asked {
  readonly id?: string
  readonly principal?: object
  readonly model?: string | null
  readonly erased?: readonly string[]
  readonly code?: string
}

const inputOf = ({ principal = { id: 'dev', claims: {} }, model = 'tiny' }: Asked): string =>
  `{"request":{"model":${JSON.stringify(model)},"body":{"seed":12345678901234567890}},"principal":${JSON.stringify(principal)},"policy":{"revision":"r"},"time":{"now_ns":${NOW}000000}}`

/** As the gateway writes it. */
function line(result: object | undefined, asked: Asked = {}): string {
  const { id = '01A', principal = { id: 'dev', claims: {} }, erased = [], code } = asked
  const record = decisionRecord({
    id,
    requestId: 'r,"input":{"request":1}',
    at: NOW,
    path: ENTRYPOINT,
    requestedBy: '127.0.0.1',
    http: { method: 'POST', path: '/v1/chat/completions' },
    revision: 'r',
    labels: '{}',
    input: inputOf(asked),
    result: result && JSON.stringify(result),
    principal: JSON.stringify(principal),
    erased,
    limits: [],
    evalNs: 1,
    code,
  })
  return seal(record, GENESIS).line
}

const deciding =
  (decision: unknown): ReplayNeeds['decide'] =>
  () => ({ decision: decision as Decision, text: JSON.stringify(decision) })

function replay(
  lines: readonly string[],
  decision: unknown,
  needs: Partial<ReplayNeeds> = {},
): ReplaySummary {
  return replayRecords(lines, {
    entrypoint: ENTRYPOINT,
    reads: READS_NOTHING,
    decide: deciding(decision),
    ...needs,
  })
}

const ALLOW = { allow: true, rule: 'open' }
const REFUSE = { allow: false, rule: 'shut', code: 'outside_hours' }

describe('a replay', () => {
  it('asks what was asked: the same text, the same instant, the same seed', () => {
    const asked: unknown[] = []
    const decide: ReplayNeeds['decide'] = (input, instant) => {
      asked.push([input, instant])
      return deciding(ALLOW)(input, instant)
    }
    replay([line(ALLOW, { id: '01X' })], ALLOW, { decide })
    expect(asked).toEqual([[inputOf({}), { nowNs: BigInt(NOW) * 1_000_000n, seed: '01X' }]])
  })

  it.each([
    ['allowed, now refused', ALLOW, REFUSE, 1],
    ['refused, now allowed', REFUSE, ALLOW, 1],
    ['refused with another code', { allow: false }, REFUSE, 1],
    ['refused with another status', { allow: false }, { allow: false, status: 404 }, 1],
    [
      'refused with what is the default anyway',
      { allow: false },
      { allow: false, status: 403, code: 'forbidden' },
      0,
    ],
    [
      'allowed by another rule, with other limits and another pool',
      ALLOW,
      { allow: true, rule: 'x', pool: 'b', limits: [] },
      0,
    ],
    ['refused in other words', REFUSE, { ...REFUSE, message: 'no', reasons: ['x'], rule: 'other' }, 0],
    ['the same', ALLOW, ALLOW, 0],
  ])('%s: a flip, or none', (_, before, now, flips) => {
    expect(replay([line(before)], now)).toMatchObject({ records: 1, decided: 1, flips, masked: 0, torn: 0 })
  })

  it('groups flips by rule, principal and model, the most first, with an example each', () => {
    const lines = [
      line(ALLOW, { id: '01A', model: null }),
      line(ALLOW, { id: '01B' }),
      line(ALLOW, { id: '01C' }),
      line(ALLOW, { id: '01D', principal: { id: 'eve' } }),
    ]
    expect(replay(lines, REFUSE).groups).toEqual([
      {
        rule: 'shut',
        principal: 'dev',
        model: 'tiny',
        count: 2,
        example: {
          decision_id: '01B',
          timestamp: '2026-11-20T18:51:02.675Z',
          old: { allow: true, rule: 'open', status: null, code: null },
          new: { allow: false, rule: 'shut', status: 403, code: 'outside_hours' },
        },
      },
      expect.objectContaining({ principal: 'dev', model: 'none', count: 1 }),
      expect.objectContaining({ principal: 'eve', model: 'tiny', count: 1 }),
    ])
  })

  it('counts thousands of kinds together, so that its memory has an end', () => {
    const lines = Array.from({ length: 1100 }, (_, n) => line(ALLOW, { principal: { id: `p${n}` } }))
    const { flips, groups } = replay(lines, REFUSE)
    expect(flips).toBe(1100)
    expect(groups).toHaveLength(1001)
    expect(groups[0]).toMatchObject({ principal: 'other', rule: 'other', model: 'other', count: 100 })
  })

  it('takes no decision for a refusal with policy_error, then and now', () => {
    const decide: ReplayNeeds['decide'] = () => {
      throw new GatewayError('policy_error', 'the decision is undefined')
    }
    expect(replay([line(ALLOW)], undefined, { decide }).groups[0]).toMatchObject({
      rule: 'policy_error',
      example: {
        new: { allow: false, status: 500, code: 'policy_error', error: 'the decision is undefined' },
      },
    })
    const failed = line(undefined, { code: 'policy_error' })
    expect(replay([failed], undefined, { decide })).toMatchObject({ decided: 1, flips: 0 })
    expect(replay([failed], ALLOW)).toMatchObject({ decided: 1, flips: 1 })
  })

  it('does not guess where something was left out that the policy may look at', () => {
    const reads = readsFrom({ touched: [], whole: ['/request/body/messages'] })
    const masked = line(ALLOW, { erased: ['/input/request/body/messages'] })
    const other = line(ALLOW, { erased: ['/input/request/body/tools', '/input/request/body/a]b'] })
    expect(replay([masked, other], REFUSE, { reads })).toMatchObject({
      records: 2,
      decided: 1,
      masked: 1,
      flips: 1,
    })
    expect(replay([masked, other], REFUSE, { reads: READS_ANYTHING })).toMatchObject({
      decided: 0,
      masked: 2,
      flips: 0,
    })
  })

  it('takes only decisions of the entrypoint that were asked of the policy', () => {
    const lines = [
      seal(outcomeRecord({ id: '01A', at: NOW, outcome: 'completed' }), GENESIS).line,
      '{"event":"gateway.started","timestamp":"2026-01-01T00:00:00Z"}',
      line(undefined, { code: 'unauthenticated' }),
      line(ALLOW).replace('"path":"gateway/decision"', '"path":"gateway/access"'),
    ]
    expect(replay(lines, REFUSE)).toMatchObject({ records: 0, decided: 0, flips: 0, torn: 0 })
  })

  it('counts what is no record, and goes on', () => {
    const lines = [line(ALLOW).slice(0, -40), 'not a record', line(ALLOW), '{"event":"outcome","deci']
    expect(replay(lines, ALLOW)).toMatchObject({ records: 1, decided: 1, torn: 3 })
  })

  it('counts a record whose input the policy cannot read', () => {
    const decide: ReplayNeeds['decide'] = () => {
      const cause = new EngineError('bad_input', 'not JSON')
      throw new GatewayError('policy_error', 'bad_input', { cause })
    }
    expect(replay([line(ALLOW)], undefined, { decide })).toMatchObject({ records: 0, decided: 0, torn: 1 })
  })

  it('reads decision logs of OPA, by their timestamp where their input has no instant', () => {
    const opa = {
      decision_id: 'b4638167',
      path: '/gateway/decision',
      input: { request: { model: 'tiny' }, principal: { id: 'dev' } },
      result: true,
      timestamp: '2026-03-02T12:00:00.123456789+01:00',
      erased: ['/input/password'],
      masked: ['/input/request/body'],
    }
    const seen: bigint[] = []
    const decide: ReplayNeeds['decide'] = (input, instant) => {
      seen.push(instant.nowNs)
      return deciding(REFUSE)(input, instant)
    }
    expect(replay([JSON.stringify(opa)], REFUSE, { decide })).toMatchObject({ decided: 1, flips: 1 })
    expect(seen).toEqual([1772449200123456789n])
    const reads = readsFrom({ touched: [], whole: ['/request/body'] })
    expect(replay([JSON.stringify(opa)], REFUSE, { reads })).toMatchObject({ masked: 1 })
  })
})

describe('a record that is read quickly', () => {
  const both = (text: string) => [readQuickly(text, ENTRYPOINT), readRecorded(text, ENTRYPOINT)] as const

  it('says what it says when it is read in full', () => {
    for (const asked of [{}, { erased: ['/input/request/body/messages'] }, { principal: { id: 'ü"\\' } }]) {
      const [quick, full] = both(line(REFUSE, asked))
      if (!quick || typeof full === 'string') throw new Error('not read')
      const { result, isResult, ...rest } = quick
      expect(rest).toEqual(
        expect.objectContaining({ input: full.input, erased: full.erased, id: full.id, nowNs: full.nowNs }),
      )
      expect(result()).toBe(full.result())
      expect([isResult(JSON.stringify(REFUSE)), isResult(JSON.stringify(ALLOW))]).toEqual([true, false])
    }
  })

  it('is not misled by a claim that looks like the end of the input: then there is no input at all', () => {
    const claims = { a: { x: 1, time: { now_ns: 5 } }, result: ALLOW }
    const [quick, full] = both(line(REFUSE, { principal: { id: 'eve', claims } }))
    if (!quick || typeof full === 'string') throw new Error('not read')
    expect(() => JSON.parse(quick.input)).toThrow()
    expect(JSON.parse(full.input).principal.claims).toEqual(claims)
    // As the engine does with what is no JSON.
    const decide: ReplayNeeds['decide'] = (input, instant) => {
      try {
        JSON.parse(input)
      } catch (cause) {
        throw new GatewayError('policy_error', 'x', { cause: new EngineError('bad_input', String(cause)) })
      }
      return deciding(instant.nowNs === 5n ? ALLOW : REFUSE)(input, instant)
    }
    const lines = [line(REFUSE, { principal: { id: 'eve', claims } })]
    expect(replay(lines, undefined, { decide })).toMatchObject({ records: 1, decided: 1, flips: 0, torn: 0 })
  })

  it('is left to the full reading where anything is not as the gateway writes it', () => {
    for (const text of [
      '{}',
      line(REFUSE).slice(0, -1),
      line(undefined, { code: 'policy_error' }),
      line(REFUSE, { erased: ['/a]'] }),
    ])
      expect(readQuickly(text, ENTRYPOINT)).toBeUndefined()
  })
})
