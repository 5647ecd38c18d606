import { describe, expect, it } from 'vitest'
import { createHost, type Host } from '../../../src/policy/engine/host.ts'
import { TICK } from '../../../src/policy/engine/mend.ts'

const LIMIT_MS = 30

describe('the host of a decision', () => {
  const begun = (): Host => {
    const host = createHost({ builtinErrors: 'refuse', maxEvaluationMs: LIMIT_MS })
    host.begin({ nowNs: 0n, seed: 'x' })
    return host
  }
  const look = (host: Host): unknown => (host.env.opa_builtin0 as (id: number) => unknown)(TICK)
  const pass = (ms: number): void => {
    const until = performance.now() + ms
    while (performance.now() < until);
  }

  it('ends one that goes on and on', () => {
    const host = begun()
    // It ends by the throw; a machine that is busy for long may have the loop look late.
    const until = performance.now() + 60_000
    expect(() => {
      while (performance.now() < until) look(host)
    }).toThrow('not decided within')
  })

  it('does not take a pause of the machine for the time of the policy, but for the first one', () => {
    const host = begun()
    pass(2 * LIMIT_MS)
    expect(() => look(host)).not.toThrow()
    pass(2 * LIMIT_MS)
    expect(() => look(host)).toThrow('not decided within')
  })
})
