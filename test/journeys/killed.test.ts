import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { call } from '../support/access.ts'
import { chat, newFolder, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { chance } from '../support/random.ts'

/** Fifty by hand: see docs/reliability.md. */
const KILLS = Number(process.env.SALLYPORT_TEST_KILLS ?? 8)
const [REQUESTS, TOKENS] = [1_000_000, 1_000_000_000]

const POLICY = {
  'gateway.rego': `package gateway

default decision := {"allow": false, "code": "access_required", "access": {"requestable": true, "models": ["tiny"]}}

limits := [
	{"name": "requests", "key": "all", "unit": "requests", "limit": ${REQUESTS}, "window": "24h"},
	{"name": "tokens", "key": "all", "unit": "tokens", "limit": ${TOKENS}, "window": "24h"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": 100},
]

decision := {"allow": true, "limits": limits} if "developer" in input.principal.roles

decision := {"allow": true, "limits": limits} if {
	"guest" in input.principal.roles
	count(input.grants) > 0
}

access := {"outcome": "approve", "approvers": {"roles": ["lead"]}, "max_duration": "1h"}
`,
}

/** What clients know, because they were told so before the gateway died. */
interface Known {
  answered: number
  readonly ids: string[]
  /** Grants whose end was confirmed. */
  readonly gone: string[]
}

describe('a gateway that is killed with -9 at random moments under load', () => {
  let model: TinySlm
  beforeAll(async () => {
    model = await startTinySlm()
  })
  afterEach(stopAll)
  afterAll(() => model.close())

  const start = (folder: string, first: boolean): Promise<RunningGateway> =>
    startGateway({
      folder,
      policy: POLICY,
      targets: [model.url],
      config: { store: { engine: 'sqlite', path: 'store.db' } },
      ...(first
        ? {
            keys: [
              { principal: 'dev', roles: ['developer'] },
              { principal: 'gil', roles: ['guest'] },
              { principal: 'lea', roles: ['lead'] },
            ],
          }
        : {}),
    })

  /** Asks until nobody is there any more. */
  async function client(gateway: RunningGateway, key: string | undefined, known: Known): Promise<void> {
    for (;;) {
      const answer = await chat(gateway, { key, body: { max_tokens: 2 } })
      await answer.arrayBuffer()
      if (answer.status !== 200) continue
      known.answered++
      known.ids.push(String(answer.headers.get('x-decision-id')))
    }
  }

  /** Asks for a grant, uses it, and gives it back. */
  async function guest(gateway: RunningGateway, known: Known): Promise<void> {
    for (let turn = 0; ; turn++) {
      const asked = { models: ['tiny'], duration: '1h', reason: 'killed', ticket: `T-${turn}-${Date.now()}` }
      const { body } = await call(gateway, 'gil', 'POST /-/access/requests', asked)
      const one = await chat(gateway, { key: gateway.keys.gil, body: { max_tokens: 2 } })
      await one.arrayBuffer()
      if (one.status === 200) known.answered++
      const who = turn % 2 ? 'gil' : 'lea'
      const ended = await call(gateway, who, `DELETE /-/access/grants/${body.grant.id}`)
      if (ended.status === 200) known.gone.push(body.grant.id)
    }
  }

  it('starts again by itself, has forgotten nothing that it answered, and revives no grant', {
    timeout: 600_000,
  }, async () => {
    const seeded = chance(7)
    const folder = newFolder()
    const known: Known = { answered: 0, ids: [], gone: [] }
    let gateway = await start(folder, true)
    const { keys } = gateway
    for (let round = 0; round < KILLS; round++) {
      const here = { ...gateway, keys }
      const working = [...Array(4).fill(() => client(here, keys.dev, known)), () => guest(here, known)].map(
        (work: () => Promise<void>) => work().catch(() => {}),
      )
      await pause(50 + seeded.integer(400))
      await gateway.stop('SIGKILL')
      await Promise.all(working)
      gateway = await start(folder, false)

      // Of limits, those are told that it has seen since it runs.
      const first = await chat(gateway, { key: keys.dev, body: { max_tokens: 2 } })
      await first.arrayBuffer()
      expect(first.status).toBe(200)
      known.answered++
      const headers = { authorization: `Bearer ${keys.dev}` }
      const told = (await (await fetch(`${gateway.url}/-/whoami`, { headers })).json()) as {
        limits: { name: string; remaining: number }[]
      }
      const left = Object.fromEntries(told.limits.map(({ name, remaining }) => [name, remaining]))
      expect(REQUESTS - (left.requests as number)).toBeGreaterThanOrEqual(known.answered)
      const used = gateway
        .audit()
        .filter(({ event, usage }) => event === 'outcome' && usage)
        .reduce((sum, { usage }) => sum + usage.input_tokens + usage.output_tokens, 0)
      expect(TOKENS - (left.tokens as number)).toBeGreaterThanOrEqual(used)

      const outcomes = new Set(
        gateway.audit().flatMap(record => (record.event === 'outcome' ? [record.decision_id] : [])),
      )
      for (const id of known.ids) expect(outcomes).toContain(id)

      const { body } = await call({ url: gateway.url, keys }, 'lea', 'GET /-/access/grants?all=true')
      const active = (body.grants as { id: string; state: string }[]).filter(
        ({ state }) => state === 'active',
      )
      for (const { id } of active) {
        expect(known.gone).not.toContain(id)
        // None is in force that is not on record.
        const approved = gateway
          .audit()
          .some(({ event, grant }) => event === 'access.approved' && grant === id)
        expect(approved).toBe(true)
      }
    }
    await gateway.stop()
    const { code, stdout } = await gateway.command('audit', 'verify', '--format', 'json')
    expect([code, JSON.parse(stdout).problems]).toEqual([0, []])
    expect(known.gone.length).toBeGreaterThan(0)
    const interrupted = gateway.audit().filter(({ outcome }) => outcome === 'interrupted').length
    console.info(
      `killed ${KILLS} times: ${known.answered} answers, ${known.gone.length} grants ended, ${interrupted} requests interrupted`,
    )
  })
})
