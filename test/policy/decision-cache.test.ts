import { describe, expect, it } from 'vitest'
import type { Principal } from '../../src/contract/input.schema.ts'
import { openWorkshop } from '../../src/policy/compile/compile.ts'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { readSource } from '../../src/policy/compile/source.ts'
import { createDecisionCache, type DecisionCache } from '../../src/policy/decision-cache.ts'
import { describe as describeInput } from '../../src/policy/describe.ts'
import { createEngine, type Engine, type EngineOptions } from '../../src/policy/engine/engine.ts'
import { type ReadPaths, readsFrom } from '../../src/policy/reads.ts'
import { createRevision, type Decided, type RevisionFacts } from '../../src/policy/revision.ts'
import { intake } from '../../src/server/intake.ts'
import { parseBody } from '../../src/server/strict-json.ts'
import { REFERENCE_POLICIES } from '../support/gateway.ts'
import { chance } from '../support/random.ts'
import { thrownBy } from '../support/thrown.ts'
import { compile } from './rego.ts'

const NOON_MS = Date.parse('2026-01-01T12:00:00Z')
const NOON_NS = BigInt(NOON_MS) * 1_000_000n
const FACTS = intake({
  method: 'POST',
  url: '/v1/chat/completions',
  rawHeaders: [],
  socket: { remoteAddress: '192.0.2.1' },
})
const MODEL_ONLY: ReadPaths = { touched: ['/request'], whole: ['/request/model'] }

/** A revision of a compiled policy, and how often its engine is asked. */
function counted(options: EngineOptions, facts: RevisionFacts) {
  const real = createEngine(options)
  let times = 0
  const evaluate: Engine['evaluate'] = (...question) => {
    times++
    return real.evaluate(...question)
  }
  const revision = createRevision('r1', { ...real, evaluate }, 'gateway/decision', facts)
  return { revision, times: () => times }
}

function asked(
  rego: string,
  reads: ReadPaths = MODEL_ONLY,
  builtinErrors: 'refuse' | 'undefined' = 'refuse',
) {
  const wasm = compile(`package gateway\n\n${rego}\n`, 'gateway/decision')
  return counted({ wasm, dataText: '{}', builtinErrors }, { reads: readsFrom(reads) })
}

/** A token whose signature is none. */
const UNSIGNED = `${btoa('{"alg":"HS256"}').replaceAll('=', '')}.e30.AAAA`
const at = (nowNs: bigint, seed = 's') => ({ nowNs, seed })

describe('a decision', () => {
  it('is made once for the same input where it depends on nothing else', () => {
    const { revision, times } = asked('decision := {"allow": input.request.model == "tiny"}')
    const tiny = '{"request":{"model":"tiny"}}'
    const large = '{"request":{"model":"large"}}'
    for (const [input, allow] of [[tiny, true] as const, [large, false] as const, [tiny, true] as const])
      expect(revision.decide(input, at(NOON_NS)).decision.allow).toBe(allow)
    expect(revision.decide(tiny, at(NOON_NS + 1n, 'other')).text).toBe('{"allow":true}')
    expect(times()).toBe(2)
  })

  it('is made anew at every instant by a rule that asks for it, and only by that one', () => {
    const { revision, times } = asked(`
decision := {"allow": true} if input.request.model == "always"

else := {"allow": true} if time.now_ns() < ${NOON_NS}

else := {"allow": false}`)
    const timed = '{"request":{"model":"timed"}}'
    const always = '{"request":{"model":"always"}}'
    expect(revision.decide(timed, at(NOON_NS - 1n)).decision.allow).toBe(true)
    expect(revision.decide(timed, at(NOON_NS)).decision.allow).toBe(false)
    expect(revision.decide(timed, at(NOON_NS - 1n)).decision.allow).toBe(true)
    expect(times()).toBe(3)
    for (const now of [NOON_NS - 1n, NOON_NS]) revision.decide(always, at(now))
    expect(times()).toBe(4)
  })

  it.each([
    ['draws by chance', 'decision := {"allow": true, "priority": rand.intn("x", 100)}'],
    ['makes a name', 'decision := {"allow": uuid.rfc4122("x") != ""}'],
    [
      'looks whether a token is in force',
      'decision := {"allow": io.jwt.decode_verify(input.request.model, {"secret": "s"})[0]}',
    ],
  ])('is made anew each time where it %s', (_what, rego) => {
    const { revision, times } = asked(rego, MODEL_ONLY, 'undefined')
    const texts = ['a', 'b', 'c'].map(
      seed => revision.decide(`{"request":{"model":"${UNSIGNED}"}}`, at(NOON_NS, seed)).text,
    )
    expect(times()).toBe(3)
    if (rego.includes('rand')) expect(new Set(texts).size).toBeGreaterThan(1)
  })

  it.each([
    ['the time', '/time/now_ns'],
    ['the id of the request', '/request/id'],
    ['what is said to a model', '/request/body/messages/0/content'],
    ['the whole of the body', '/request/body'],
  ])('is not looked for where the policy is shown %s', (_what, pointer) => {
    const reads = { touched: [], whole: [pointer] }
    expect(createDecisionCache(readsFrom(reads))).toBeUndefined()
  })

  it('that is undefined or fails refuses each time', () => {
    const { revision, times } = asked('decision := {"allow": true} if input.request.model == "tiny"')
    for (let count = 0; count < 2; count++)
      expect(thrownBy(() => revision.decide('{}', at(NOON_NS)))).toMatchObject({ code: 'policy_error' })
    expect(times()).toBe(2)
  })
})

describe('the reference policy', () => {
  it('decides the same with the cache as without it, for anybody at any time', async () => {
    const workshop = await openWorkshop(readSource(REFERENCE_POLICIES), requireOpa(), 'policies')
    const { bundle } = await workshop.buildPolicy('gateway/decision')
    const reads = readsFrom(await workshop.reads('gateway/decision'))
    workshop.close()
    const { wasm, dataText } = bundle as NonNullable<typeof bundle>
    const options: EngineOptions = { wasm, dataText, builtinErrors: 'refuse' }
    const [caching, plain] = [counted(options, { reads }), counted(options, {})]
    const { integer, pick } = chance(11)
    const principals = [['developer'], ['analyst'], ['night_shift', 'oncall'], ['guest'], []].map(
      (roles, number): Principal => ({
        id: `p${number}`,
        kind: 'service',
        roles,
        team: number % 2 ? 'search' : null,
        authenticated: !roles.includes('guest'),
        method: roles.includes('guest') ? 'anonymous' : 'api_key',
        key_id: null,
        claims: {},
        expires_at: null,
      }),
    )
    const rules = new Set<string | undefined>()
    for (let turn = 0; turn < 2000; turn++) {
      // Anywhere in two weeks, so that all hours of a role and both sides of them are met.
      const now = NOON_MS + integer(14 * 24 * 60) * 60_000
      const model = pick(['tiny', 'tiny-large', 'unknown'])
      const { input } = describeInput({
        id: `r${turn}`,
        request: FACTS,
        body: parseBody(Buffer.from(JSON.stringify({ model, max_tokens: turn }))),
        principal: pick(principals),
        pools: { chat: { models: ['tiny'], healthy: 1, targets: 1, in_flight: integer(3), queued: 0 } },
        revision: 'r1',
        policyAgeSeconds: turn,
        now,
        reads,
      })
      const instant = { nowNs: BigInt(now) * 1_000_000n, seed: `r${turn}` }
      const { decision, text } = caching.revision.decide(input, instant)
      expect([input, text]).toEqual([input, plain.revision.decide(input, instant).text])
      rules.add(decision.rule)
    }
    expect([...rules]).toEqual(
      expect.arrayContaining(['developer_always', 'analyst_office_hours', 'hours', 'models', 'roles']),
    )
    expect(plain.times()).toBe(2000)
    expect(caching.times()).toBeLessThan(1500)
  })
})

describe('the cache of decisions', () => {
  const cache = () => createDecisionCache(readsFrom(MODEL_ONLY)) as DecisionCache
  const decided = (number: number): Decided => ({ decision: { allow: true, priority: number }, text: '' })

  it('never gives the answer to another input, whatever comes in between', () => {
    const answers = cache()
    const { integer } = chance(7)
    let hits = 0
    for (let turn = 0; turn < 100_000; turn++) {
      // Some are asked for often, most of them hardly ever.
      const number = integer(integer(integer(20_000) + 1) + 1)
      const known = answers.get(`{"n":${number}}`)
      if (known) hits++
      else answers.put(`{"n":${number}}`, decided(number))
      expect(known?.decision.priority ?? number).toBe(number)
    }
    expect(hits).toBeGreaterThan(20_000)
  })

  it('keeps what is asked for, and lets go of the rest', () => {
    const answers = cache()
    answers.put('often', decided(1))
    answers.put('once', decided(2))
    for (let number = 0; number < 10_000; number++) {
      expect(answers.get('often')).toEqual(decided(1))
      answers.put(`{"n":${number}}`, decided(number))
    }
    expect(answers.get('once')).toBeUndefined()
  })

  it('does not keep long inputs', () => {
    const answers = cache()
    const long = 'x'.repeat(5000)
    answers.put(long, decided(1))
    expect(answers.get(long)).toBeUndefined()
  })

  it('rests where no input comes twice, and is tried again later', () => {
    const answers = cache()
    let number = 0
    const isAwake = (): boolean => {
      for (let count = 0; count < 3000; count++) answers.put(`{"n":${number++}}`, decided(number))
      answers.get('twice')
      answers.put('twice', decided(1))
      return answers.get('twice') !== undefined
    }
    answers.put('twice', decided(1))
    expect(answers.get('twice')).toBeDefined()
    expect(isAwake()).toBe(false)
    for (let count = 0; count < 50_000; count++) answers.get('once')
    answers.put('twice', decided(1))
    expect(answers.get('twice')).toBeDefined()
  })
})
