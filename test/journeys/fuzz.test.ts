import { afterAll, describe, expect, it } from 'vitest'
import { fuzz, startFuzzed } from '../fuzz/fuzz.ts'
import { stopAll } from '../support/gateway.ts'
import { startWitness } from '../support/witness.ts'

/**
 * An attacker who tries everything. Behind the gateway stands a witness: nothing reaches it that the policy
 * did not see and allow, nothing crashes, nothing hangs, every refusal is on record. `npm run fuzz` does the
 * same with other seeds, for longer.
 */
describe('five thousand hostile inputs', () => {
  afterAll(stopAll)

  it('neither pass the policy by, nor stop the gateway', { timeout: 180_000 }, async () => {
    const witness = await startWitness()
    const gateway = await startFuzzed(witness.url)
    const { problems, ...counts } = await fuzz(gateway, witness, { seed: 20261120, until: 5000 })
    expect(problems).toEqual([])
    // It was not all refused, nor all let through.
    expect(counts.reached).toBeGreaterThan(500)
    expect(counts.refused).toBeGreaterThan(500)
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
    await witness.close()
  })

  it('would be noticed: a request that went round the gateway', async () => {
    const witness = await startWitness()
    const gateway = await startFuzzed(witness.url)
    const body = '{"model":"forbidden"}'
    await fetch(`${witness.url}/v1/completions`, { method: 'POST', body, headers: { cookie: 'a=b' } })
    const { problems } = await fuzz(gateway, witness, { seed: 1, until: 20 })
    for (const told of ['never allowed', 'cookie', 'not the model']) expect(problems.join()).toContain(told)
    await witness.close()
  })
})
