import { describe, expect, it } from 'vitest'
import type { Claim, Standing } from '../../src/limits/ledger.ts'
import { rateHeaders as list } from '../../src/limits/rate-headers.ts'

const NOON = Date.parse('2026-01-01T12:00:00Z')

function standing(
  name: string,
  remaining: number,
  resetsInMs: number | undefined,
  members: Partial<Claim> = {},
): Standing {
  const claim: Claim = {
    name,
    key: 'ana',
    unit: 'requests',
    limit: 60,
    window: { ms: 60_000 },
    observe: false,
    ...members,
  }
  return { claim, remaining, resetsAt: resetsInMs === undefined ? undefined : NOON + resetsInMs }
}

function rateHeaders(...args: Parameters<typeof list>): Record<string, string> {
  const turns = list(...args)
  const names = turns.filter((_, index) => index % 2 === 0)
  return Object.fromEntries(names.map((name, index) => [name, turns[2 * index + 1] as string]))
}

describe('rateHeaders', () => {
  it('are none without limits', () => {
    expect(rateHeaders([], NOON)).toEqual({})
  })

  it('are those of the IETF draft, and those that the clients of OpenAI read', () => {
    expect(rateHeaders([standing('rpm', 4, 50_400)], NOON)).toEqual({
      ratelimit: '"rpm";r=4;t=51',
      'ratelimit-policy': '"rpm";q=60;w=60',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '4',
      'x-ratelimit-reset-requests': '51s',
    })
  })

  it('say neither window nor reset of concurrency, which OpenAI does not know', () => {
    const streams = standing('streams', 3, undefined, { unit: 'concurrency', limit: 4, window: undefined })
    expect(rateHeaders([streams], NOON)).toEqual({
      ratelimit: '"streams";r=3',
      'ratelimit-policy': '"streams";q=4',
    })
  })

  it('say all limits, in the order of the policy, and to OpenAI the tightest', () => {
    const headers = rateHeaders(
      [standing('day', 100, 3_600_000, { limit: 200, window: { ms: 86_400_000 } }), standing('rpm', 4, 1000)],
      NOON,
    )
    expect(headers).toEqual({
      ratelimit: '"day";r=100;t=3600, "rpm";r=4;t=1',
      'ratelimit-policy': '"day";q=200;w=86400, "rpm";q=60;w=60',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '4',
      'x-ratelimit-reset-requests': '1s',
    })
  })

  it('say, of two limits of which as much is left, the one that refills later', () => {
    const headers = rateHeaders([standing('rpm', 0, 1000), standing('day', 0, 7000, { limit: 200 })], NOON)
    expect(headers['x-ratelimit-reset-requests']).toBe('7s')
  })

  it('never say what only observes', () => {
    expect(rateHeaders([standing('quiet', 0, 1000, { observe: true })], NOON)).toEqual({})
    expect(
      rateHeaders([standing('quiet', 0, 1000, { observe: true }), standing('rpm', 4, 1000)], NOON).ratelimit,
    ).toBe('"rpm";r=4;t=1')
  })

  it('never promise a reset in the past, and round a part of a second up', () => {
    expect(rateHeaders([standing('rpm', 4, -5)], NOON).ratelimit).toBe('"rpm";r=4;t=0')
    expect(rateHeaders([standing('rpm', 4, 1, { window: { ms: 250 } })], NOON)).toMatchObject({
      ratelimit: '"rpm";r=4;t=1',
      'ratelimit-policy': '"rpm";q=60;w=1',
    })
  })
})
