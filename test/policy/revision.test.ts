import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/policy/engine/engine.ts'
import { EngineError } from '../../src/policy/engine/engine-error.ts'
import { createRevision } from '../../src/policy/revision.ts'
import { thrownBy } from '../support/thrown.ts'

const INSTANT = { nowNs: 0n, seed: 's' }

/** An engine that answers what a test says, and remembers what it was asked. */
function engineOf(answer: (input: string) => string | undefined) {
  const asked: (string | undefined)[][] = []
  let closed = false
  const engine: Engine = {
    entrypoints: ['gateway/decision'],
    requiredBuiltins: [],
    evaluate(entrypoint, input) {
      asked.push([entrypoint, input])
      return answer(input ?? '')
    },
    close: () => {
      closed = true
    },
  }
  return { engine, asked, closed: () => closed }
}
const revisionOf = (answer: (input: string) => string | undefined) =>
  createRevision('r1', engineOf(answer).engine, 'gateway/decision')

describe('a revision', () => {
  it('asks its entrypoint and gives the decision with its own text', () => {
    const { engine, asked } = engineOf(() => '{"allow":true,"priority":5}')
    const revision = createRevision('r1', engine, 'gateway/decision')
    expect(revision.decide('{"x":1}', INSTANT)).toEqual({
      decision: { allow: true, priority: 5 },
      text: '{"allow":true,"priority":5}',
    })
    expect(asked).toEqual([['gateway/decision', '{"x":1}']])
    expect(revision.id).toBe('r1')
  })

  it.each([
    ['is undefined', undefined],
    ['is true by itself', 'true'],
    ['is null', 'null'],
    ['is a list', '[]'],
    ['says not whether it allows', '{}'],
    ['has an unknown key', '{"allow":true,"limts":[]}'],
    ['allows in words', '{"allow":"true"}'],
    [
      'limits without a window',
      '{"allow":true,"limits":[{"name":"a","key":"k","unit":"requests","limit":1}]}',
    ],
    ['would split a header', '{"allow":true,"rewrite":{"headers":{"set":{"x-a":"a\\r\\nb"}}}}'],
    [
      'limits beyond any number',
      '{"allow":true,"limits":[{"name":"a","key":"k","unit":"requests","limit":1e999,"window":"1m"}]}',
    ],
  ])('refuses with policy_error a decision that %s, each time', (_what, text) => {
    const revision = revisionOf(() => text)
    for (let count = 0; count < 2; count++) {
      expect(thrownBy(() => revision.decide('{}', INSTANT))).toMatchObject({
        code: 'policy_error',
        status: 500,
      })
    }
  })

  it('refuses with policy_error when the engine fails, and tells the operator how', () => {
    const cause = new EngineError('out_of_memory', 'no more')
    const error = thrownBy(() =>
      revisionOf(() => {
        throw cause
      }).decide('{}', INSTANT),
    ) as Error & { code: string; title: string }
    expect(error).toMatchObject({ code: 'policy_error', cause })
    expect(error.message).toContain('out_of_memory')
    expect(error.title).not.toContain('memory')
  })

  it('asks the engine every time where nothing is known of what the policy reads', () => {
    const { engine, asked } = engineOf(input => (input.length % 2 ? '{"allow":true}' : '{"allow":false}'))
    const revision = createRevision('r1', engine, 'gateway/decision')
    const allowed = [1, 2, 3, 4].map(length => revision.decide('x'.repeat(length), INSTANT).decision.allow)
    expect(allowed).toEqual([true, false, true, false])
    revision.decide('x', INSTANT)
    expect(asked).toHaveLength(5)
  })

  it('does not mix up answers when there are more than it remembers', () => {
    const revision = revisionOf(input => `{"allow":true,"priority":${input}}`)
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 1500; number++)
        expect(revision.decide(String(number), INSTANT).decision.priority).toBe(number)
    }
  })

  it('closes its engine', () => {
    const { engine, closed } = engineOf(() => undefined)
    createRevision('r1', engine, 'gateway/decision').close()
    expect(closed()).toBe(true)
  })

  it('asks a further question only of a policy that answers it', () => {
    const { engine, asked } = engineOf(() => '{"outcome":"deny"}')
    const revision = createRevision(
      'r1',
      { ...engine, entrypoints: ['gateway/decision', 'gateway/access'] },
      'gateway/decision',
    )
    expect(revision.offers('gateway/access')).toBe(true)
    expect(revision.ask('gateway/access', '{}', INSTANT)).toBe('{"outcome":"deny"}')
    expect(revision.offers('gateway/mask')).toBe(false)
    expect(revision.ask('gateway/mask', '{}', INSTANT)).toBeUndefined()
    expect(asked).toEqual([['gateway/access', '{}']])
  })
})
