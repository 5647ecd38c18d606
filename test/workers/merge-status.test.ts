import { describe, expect, it } from 'vitest'
import type { CandidateStatus, LimitStanding, PoolStatus, TargetStatus } from '../../src/contract/seen.ts'
import { mergeCandidates, mergeLimits, mergePools } from '../../src/workers/merge-status.ts'

const target = (members: Partial<TargetStatus>): TargetStatus => ({
  url: 'http://a',
  kind: 'openai',
  healthy: true,
  in_flight: 0,
  slots: 4,
  weight: 1,
  failures: 0,
  breaker: 'closed',
  first_byte_ms: null,
  ...members,
})
const pool = (queued: number, members: Partial<TargetStatus>): Record<string, PoolStatus> => ({
  chat: { models: ['tiny'], queued, targets: [target(members)] },
})

describe('what workers tell, as one', () => {
  it('adds up what runs and waits, and says of a target what is true of some worker', () => {
    const one = pool(1, {
      in_flight: 2,
      healthy: false,
      breaker: 'half_open',
      failures: 3,
      first_byte_ms: 10,
    })
    const other = pool(2, { in_flight: 1, first_byte_ms: 30 })
    const merged = mergePools([one, other]).chat
    expect(merged?.queued).toBe(3)
    expect(merged?.targets).toEqual([
      target({ in_flight: 3, healthy: true, breaker: 'half_open', failures: 3, first_byte_ms: 20 }),
    ])
    expect(mergePools([])).toEqual({})
  })

  it('has of a worker that knows another config yet what both know', () => {
    const two = { chat: { models: ['tiny'], queued: 0, targets: [target({}), target({ url: 'http://b' })] } }
    expect(mergePools([two, pool(0, { in_flight: 1 })]).chat?.targets.map(one => one.in_flight)).toEqual([
      1, 0,
    ])
    expect(Object.keys(mergePools([two, {}]))).toEqual(['chat'])
  })

  it('counts what one candidate did, and not another', () => {
    const candidate = (members: Partial<CandidateStatus>): CandidateStatus => ({
      revision: 'a',
      decided: 0,
      flips: 0,
      mean_us: null,
      examples: [],
      ...members,
    })
    const merged = mergeCandidates([
      candidate({ decided: 1, flips: 1, mean_us: 10 }),
      candidate({ decided: 3, mean_us: 30 }),
      candidate({ revision: 'b', decided: 100 }),
    ])
    expect(merged).toMatchObject({ revision: 'a', decided: 4, flips: 1, mean_us: 25 })
    expect(mergeCandidates([])).toBeUndefined()
  })

  it('believes of a limit whoever saw least left', () => {
    const limit = (key: string, remaining: number): LimitStanding => ({
      name: 'requests',
      key,
      unit: 'requests',
      limit: 10,
      remaining,
      used: 1 - remaining / 10,
      observe: false,
      resets_at: null,
    })
    expect(mergeLimits([[limit('a', 4), limit('b', 9)], [limit('a', 3)]])).toEqual([
      limit('a', 3),
      limit('b', 9),
    ])
  })
})
