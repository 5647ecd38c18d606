import { describe, expect, it } from 'vitest'
import type { ActiveGrant } from '../../src/contract/access.schema.ts'
import type { Decision } from '../../src/contract/decision.schema.ts'
import { grantClaims, groundsOf } from '../../src/corridor/grounds.ts'
import type { Visit } from '../../src/corridor/visit.ts'
import type { Revision } from '../../src/policy/revision.ts'
import { thrownBy } from '../support/thrown.ts'

const HOUR = 3_600_000

const grant = (id: string, ceilings: Partial<ActiveGrant> = {}): ActiveGrant => ({
  facts: {
    id,
    models: ['tiny'],
    roles: [],
    expires_at: '2026-03-02T13:00:00.000Z',
    approved_by: null,
    reason: '',
  },
  startsAt: 0,
  expiresAt: HOUR,
  maxUses: undefined,
  maxTokens: undefined,
  used: false,
  ...ceilings,
})

/** @param allows - What the policy says, given the ids of the grants that it is shown. */
function grounds(
  held: readonly string[],
  allows: (shown: readonly string[]) => boolean,
  decision: Partial<Decision> = {},
): string[] {
  const decide = (input: string) => {
    const shown = JSON.parse(input).grants.map(({ id }: { id: string }) => id)
    if (shown.includes('g_fault')) throw new Error('a fault')
    return { decision: { allow: allows(shown) }, text: '' }
  }
  const visit = {
    id: '01',
    now: 0,
    grants: held.map(id => grant(id)),
    revision: { decide } as unknown as Revision,
    described: { input: '{"principal":{},"grants":[],"pools":{},"time":{"now_ns":0}}' },
  } as unknown as Visit
  return groundsOf(visit, { allow: true, ...decision }).map(({ facts }) => facts.id)
}

describe('what a permission stands on', () => {
  it('is nothing where it would be given without grants', () => {
    expect(grounds([], () => true)).toEqual([])
    expect(grounds(['g_1', 'g_2'], () => true)).toEqual([])
  })

  it('is the one grant that is enough, and never one that is not', () => {
    expect(grounds(['g_1', 'g_2', 'g_3'], shown => shown.includes('g_2'))).toEqual(['g_2'])
    expect(grounds(['g_fault', 'g_2'], shown => shown.includes('g_2'))).toEqual(['g_2'])
  })

  it('is all of them where none is enough alone', () => {
    expect(grounds(['g_1', 'g_2'], shown => shown.length === 2)).toEqual(['g_1', 'g_2'])
  })

  it('is what the policy names, if that is in force', () => {
    expect(grounds(['g_1', 'g_2'], () => true, { grant: 'g_2' })).toEqual(['g_2'])
    expect(thrownBy(() => grounds(['g_1'], () => true, { grant: 'g_9' }))).toMatchObject({
      code: 'policy_error',
    })
  })
})

describe('the ceilings of a grant', () => {
  it('are limits of its own that outlast it', () => {
    const of = { key: 'g_1', window: { ms: 25 * HOUR }, observe: false }
    expect(grantClaims(grant('g_1', { maxUses: 2, maxTokens: 100 }))).toEqual([
      { ...of, name: 'grant_requests', unit: 'requests', limit: 2 },
      { ...of, name: 'grant_tokens', unit: 'tokens', limit: 100 },
    ])
    expect(grantClaims(grant('g_1'))).toEqual([])
  })
})
