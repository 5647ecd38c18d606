import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, errorOf, startGateway, stopAll } from '../support/gateway.ts'

/**
 * A policy that runs for ever on the input of an attacker would stop the gateway for everybody: it
 * decides in the one thread that also serves.
 */
describe('a policy that runs away', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  /** Never true, and allocates nothing on its way through a hundred thousand million steps. */
  const LOOPS = 'some a in many; some b in many; some c in many; a < b; b < c; c < a'

  const rule = (condition: string): Record<string, string> => ({
    'gateway.rego': `package gateway\n\ndefault decision := {"allow": false}\n\ndecision := {"allow": true} if {\n\t${condition}\n}\n\nmany := numbers.range(1, 5000)\n`,
  })

  it('on the body of an attacker is interrupted and refused, and serves the next request', async () => {
    const policy = rule(`not loops\n}\n\nloops if {\n\tinput.request.body.user == "attacker"\n\t${LOOPS}`)
    const gateway = await startGateway({ policy, targets: [model.url] })
    await gateway.logged('policy_activated')
    const attack = await chat(gateway, { body: { user: 'attacker' } })
    expect([attack.status, (await errorOf(attack)).code]).toEqual([500, 'policy_error'])
    expect((await chat(gateway, { body: { user: 'somebody' } })).status).toBe(200)
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
    expect(metrics).toContain('sallyport_engine_faults_total{code="timed_out"} 1')
  })

  it('in a bare OPA module, by replacing the empty string, answers here as OPA does', async () => {
    const policy = rule('replace(input.request.body.user, input.request.body.find, "-") == "-a-b-"')
    const gateway = await startGateway({ policy, targets: [model.url] })
    await gateway.logged('policy_activated')
    expect((await chat(gateway, { body: { user: 'ab', find: '' } })).status).toBe(200)
  })

  it('on the very samples is not put in force', async () => {
    const gateway = await startGateway({
      policy: rule(LOOPS),
      targets: [model.url],
    })
    const refused = await gateway.logged('policy_refused')
    expect(JSON.stringify(refused.diagnostics)).toMatch(/too_slow|timed_out/)
    expect((await chat(gateway)).status).toBe(503)
  })
})
