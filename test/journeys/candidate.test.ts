import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, newFolder, OPEN_POLICY, startGateway, stopAll, writeFiles } from '../support/gateway.ts'

const STRICT = {
  'gateway.rego':
    'package gateway\n\ndefault decision := {"allow": false, "code": "too_long", "rule": "short_only"}\n\ndecision := {"allow": true, "rule": "short"} if input.request.max_output_tokens < 10\n',
}

describe('a candidate policy', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  it('is asked beside the policy in force, never obeyed, and what differs is counted and kept', async () => {
    const candidate = path.join(newFolder(), 'candidate')
    writeFiles(candidate, STRICT)
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [model.url],
      config: { policy: { candidate: { path: candidate } } },
    })
    await gateway.logged('candidate_loaded')
    const statuses = []
    for (const tokens of [4, 40, 4, 40])
      statuses.push((await chat(gateway, { body: { max_tokens: tokens } })).status)
    expect(statuses).toEqual([200, 200, 200, 200])
    const { policy } = await gateway.status()
    expect(policy.candidate).toMatchObject({
      decided: 4,
      flips: 2,
      revision: expect.any(String),
      mean_us: expect.any(Number),
    })
    expect(policy.candidate.revision).not.toBe(policy.revision)
    expect(policy.candidate.examples[0]).toMatchObject({
      principal: 'dev',
      model: 'tiny',
      in_force: { allow: true, rule: 'open' },
      candidate: { allow: false, status: 403, code: 'too_long', rule: 'short_only' },
    })
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('sallyport_candidate_flips_total 2')

    expect((await gateway.command('status', '--admin', gateway.adminUrl)).stdout).toContain(
      '2 of 4 decisions would flip',
    )

    writeFiles(candidate, OPEN_POLICY)
    await gateway.logged('candidate_loaded')
    await (await chat(gateway)).arrayBuffer()
    expect((await gateway.status()).policy.candidate).toMatchObject({ decided: 1, flips: 0 })
  })

  it('that is broken is reported and changes nothing', async () => {
    const candidate = path.join(newFolder(), 'candidate')
    writeFiles(candidate, { 'gateway.rego': 'package gateway\n\ndecision := {' })
    const gateway = await startGateway({
      policy: OPEN_POLICY,
      targets: [model.url],
      config: { policy: { candidate: { path: candidate } } },
    })
    await gateway.logged('candidate_refused')
    expect((await chat(gateway)).status).toBe(200)
    expect((await gateway.status()).policy.candidate).toMatchObject({ revision: null, decided: 0 })
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
  })
})
