import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { Refused } from '../../../src/policy/activate/activation.ts'
import { type EditionNeeds, lookAt } from '../../../src/policy/activate/edition.ts'
import type { Revision } from '../../../src/policy/revision.ts'
import { runOwnTests } from '../../../src/policy/tests/own-tests.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { rejectionOf } from '../../support/thrown.ts'

const GOOD = { 'gateway/decision.rego': 'package gateway\n\ndecision := {"allow": true}\n' }

async function build(
  files: Record<string, string | Buffer>,
  members: Partial<EditionNeeds> = {},
): Promise<{ revision: Revision; steps: string[] }> {
  const steps: string[] = []
  const edition = lookAt({
    path: temporaryFolder(files),
    shown: 'policies',
    entrypoint: 'gateway/decision',
    builtinErrors: 'refuse',
    maxMemoryBytes: 64 * 1024 * 1024,
    ownTests: runOwnTests,
    maxEvaluationMs: 1000,
    models: () => ['tiny'],
    pools: () => ({}),
    ...members,
  })
  const revision = await edition.build(async (name, work) => {
    steps.push(name)
    return work()
  })
  return { revision, steps }
}
const refusal = async (files: Record<string, string | Buffer>, members?: Partial<EditionNeeds>) => {
  const error = await rejectionOf(build(files, members))
  expect(error).toBeInstanceOf(Refused)
  return (error as unknown as Refused).findings
}

describe('an edition', () => {
  it('passes every step, in their order, and then answers', async () => {
    const { revision, steps } = await build(GOOD)
    expect(steps).toEqual(['read', 'check', 'compile', 'tests', 'load', 'samples'])
    expect(revision.decide('{}', { nowNs: 0n, seed: 's' }).decision).toEqual({ allow: true })
    revision.close()
  })

  it('answers what else its sources define, with the types of its own input', async () => {
    const { revision } = await build({
      ...GOOD,
      'gateway/access.rego':
        'package gateway\n\naccess := {"outcome": "ask"} if input.access.reason != ""\n\ndefault access := {"outcome": "deny"}\n',
      'gateway/mask_test.rego': 'package gateway_test\n\ntest_mask if true\n',
    })
    expect(revision.offers('gateway/mask')).toBe(false)
    const ask = (input: string) => revision.ask('gateway/access', input, { nowNs: 0n, seed: 's' })
    expect(ask('{"access":{"reason":"on call"}}')).toBe('{"outcome":"ask"}')
    expect(ask('{"access":{"reason":""}}')).toBe('{"outcome":"deny"}')
    revision.close()
  })

  it.each([
    ['a package of its own', 'package gateway.mask\n\nimport data.x\n\nx contains 1\n'],
    ['a package of its own, in brackets', 'package gateway["mask"]\n\nx := 1\n'],
    ['the package, with a remark in it', 'package # of the gateway\ngateway # this\n\nmask := []\n'],
    ['the package, at the end of the line', 'package gateway\r\nmask := []'],
  ])('answers what stands in %s', async (_what, rego) => {
    const { revision } = await build({ ...GOOD, 'gateway/mask.rego': rego })
    expect(revision.offers('gateway/mask')).toBe(true)
    revision.close()
  })

  it('answers nothing that only others define', async () => {
    const others = 'package gateway.lending\n\nmask := []\n\naccess := {"outcome": "deny"}\n'
    const { revision } = await build({ ...GOOD, 'gateway/lending.rego': others })
    expect([revision.offers('gateway/mask'), revision.offers('gateway/access')]).toEqual([false, false])
    revision.close()
  })

  it('masks what its sources say, as a set', async () => {
    const rego = 'package gateway\n\nmask contains "/input/request/body" if input.result.allow\n'
    const { revision } = await build({ ...GOOD, 'gateway/mask.rego': rego })
    const ask = (input: string) => revision.ask('gateway/mask', input, { nowNs: 0n, seed: 's' })
    expect(ask('{"result":{"allow":true}}')).toBe('["/input/request/body"]')
    expect(ask('{"result":{}}')).toBe('[]')
    revision.close()
  })

  it('is refused when its own tests fail, with the place of the one that did', async () => {
    const failing = { ...GOOD, 'x_test.rego': 'package x_test\n\ntest_no if false\n' }
    expect(await refusal(failing)).toMatchObject([
      { code: 'test_failed', file: 'policies/x_test.rego', line: 3 },
    ])
    const { revision, steps } = await build(failing, { ownTests: undefined })
    expect(steps).not.toContain('tests')
    revision.close()
  })

  it('is refused when an answer has the wrong shape: now, and not at the first request', async () => {
    const misspelt = 'package gateway\n\ndecision := {"allow": true, "limts": []}\n'
    expect(await refusal({ 'gateway/decision.rego': misspelt })).toMatchObject([{ code: 'policy_error' }])
  })

  it('is not refused for what it leaves undefined: that is a refusal of the request', async () => {
    const rego = 'package gateway\n\ndecision := {"allow": true} if input.principal.id == "nobody at all"\n'
    const { revision } = await build({ 'gateway/decision.rego': rego })
    expect(() => revision.decide('{}', { nowNs: 0n, seed: 's' })).toThrow()
    revision.close()
  })

  it('is refused when it takes too long', async () => {
    const slow =
      'package gateway\n\ndecision := {"allow": count([1 | some i in numbers.range(1, 2000); some j in numbers.range(1, 100); i < j]) > 0}\n'
    expect(await refusal({ 'gateway/decision.rego': slow }, { maxEvaluationMs: 0.5 })).toMatchObject([
      { code: 'too_slow' },
    ])
  })

  it('is refused when it decides too many of the latest requests otherwise', async () => {
    const line = (n: number, result: object): string =>
      JSON.stringify({
        event: 'decision',
        decision_id: `01${n}`,
        timestamp: '2026-01-01T00:00:00.000Z',
        path: 'gateway/decision',
        input: { principal: { id: 'dev' }, request: { model: 'tiny' } },
        result,
        erased: ['/input/request/body/messages'],
      })
    const lines = [line(1, { allow: true }), line(2, { allow: false }), line(3, { allow: false })]
    const replay = (maxFlips: number) => ({ replay: { maxFlips, lines: async () => lines } })
    expect(await refusal(GOOD, replay(1))).toMatchObject([
      { code: 'too_many_flips', file: 'policies', message: '2 of the last 3 decisions flip; 1 may' },
      { code: 'too_many_flips', message: expect.stringMatching(/^2 of dev for tiny.*01[23]$/) },
    ])
    const { revision, steps } = await build(GOOD, replay(2))
    expect(steps.slice(-2)).toEqual(['samples', 'replay'])
    revision.close()
  })

  it('is refused when it has no such entrypoint', async () => {
    expect((await refusal(GOOD, { entrypoint: 'gateway/other' })).length).toBeGreaterThan(0)
  })

  it('is known by its digest: the same for the same files', () => {
    const needs = (files: Record<string, string>) =>
      ({ path: temporaryFolder(files), shown: 'p' }) as EditionNeeds
    expect(lookAt(needs(GOOD)).digest).toBe(lookAt(needs(GOOD)).digest)
    expect(lookAt(needs({ ...GOOD, 'data.json': '{}' })).digest).not.toBe(lookAt(needs(GOOD)).digest)
  })

  it('is none where there is nothing', async () => {
    expect(() => lookAt({ path: path.join(temporaryFolder(), 'gone'), shown: 'p' } as EditionNeeds)).toThrow()
  })
})

describe('a bundle file', () => {
  it('that is none is refused for good: it is not looked at again until it changes', async () => {
    const file = path.join(temporaryFolder(), 'bundle.tar.gz')
    writeFileSync(file, 'no bundle')
    expect(await refusal({}, { path: file })).toMatchObject([{ code: 'bad_bundle' }])
  })
})
