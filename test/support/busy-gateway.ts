/** A gateway with something to see: traffic of several callers, refusals, limits, a failed reload, a candidate. */
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type GatewayOptions, type RunningGateway, startGateway, writeFiles } from './gateway.ts'

const POLICY = {
  'gateway.rego': `package gateway

default decision := {
	"allow": false,
	"rule": "no_role",
	"code": "forbidden",
	"message": "None of your roles may call this model",
	"reasons": ["no role of the principal names the model"],
}

decision := {
	"allow": true,
	"rule": "developers_chat",
	"reasons": ["role developer may chat", "the model tiny is open to developers at every hour"],
	"limits": [
		{"name": "requests_per_hour", "key": input.principal.id, "unit": "requests", "limit": 400, "window": "1h"},
		{"name": "tokens_per_day", "key": sprintf("team:%s", [input.principal.team]), "unit": "tokens", "limit": 40000, "window": "calendar_day"},
		{"name": "streams", "key": input.principal.id, "unit": "concurrency", "limit": 4},
	],
	"audit": {"labels": {"cost_center": "42"}},
} if {
	"developer" in input.principal.roles
	input.request.model == "tiny"
}

decision := {
	"allow": false,
	"rule": "office_hours",
	"code": "outside_hours",
	"message": "The large model is open on weekdays from 08:00 to 18:00",
	"reasons": ["tiny-large is closed at this hour"],
	"retry_after": "9h",
} if {
	"developer" in input.principal.roles
	input.request.model == "tiny-large"
}
`,
}

/** Lets nobody from outside of the team search in. */
const CANDIDATE = {
  'gateway.rego': POLICY['gateway.rego'].replace(
    'input.request.model == "tiny"\n',
    'input.request.model == "tiny"\n\tinput.principal.team == "search"\n',
  ),
}

export interface BusyGateway {
  readonly gateway: RunningGateway
  /** So many rounds of requests, one after the other. */
  traffic(rounds: number): Promise<void>
  close(): Promise<void>
}

export async function startBusyGateway(
  folder: string,
  config: NonNullable<GatewayOptions['config']> = {},
): Promise<BusyGateway> {
  const models: TinySlm[] = await Promise.all(
    ['one', 'two'].map(name => startTinySlm({ name, models: ['tiny', 'tiny-large'] })),
  )
  writeFiles(folder, { 'candidate/gateway.rego': CANDIDATE['gateway.rego'] })
  const gateway = await startGateway({
    folder,
    policy: POLICY,
    keys: [
      { principal: 'ci-bot', roles: ['developer'], team: 'search' },
      { principal: 'ana', roles: ['developer'], team: 'search' },
      { principal: 'notebook', roles: ['developer'], team: 'research' },
      { principal: 'intern', roles: [], team: 'research' },
    ],
    config: {
      policy: { candidate: { path: 'candidate' } },
      pools: {
        chat: {
          models: ['tiny'],
          targets: [...models.map(({ url }) => ({ url })), { url: 'http://127.0.0.1:9', weight: 0.5 }],
        },
        large: { models: ['tiny-large'], targets: models.slice(0, 1).map(({ url }) => ({ url })) },
      },
      ...config,
    },
  })
  await gateway.logged('policy_activated')
  gateway.writePolicy({ 'quota.rego': 'package gateway\n\nhours := input.request.hour\n\nbroken if {\n' })
  await gateway.logged('policy_refused')
  gateway.writePolicy({ 'quota.rego': 'package gateway\n\n# Quotas are to come.\n' })
  await gateway.logged('policy_activated')

  async function traffic(rounds: number): Promise<void> {
    const asked: [string, object][] = [
      ['ci-bot', {}],
      ['ana', { stream: true, max_tokens: 24 }],
      ['notebook', { max_tokens: 12 }],
      ['intern', {}],
      ['ana', { model: 'tiny-large' }],
      ['ci-bot', { stream: true }],
    ]
    for (let round = 0; round < rounds; round++) {
      for (const [principal, body] of asked)
        await (await chat(gateway, { key: gateway.keys[principal], body })).arrayBuffer()
    }
  }

  return {
    gateway,
    traffic,
    async close() {
      await gateway.stop('SIGKILL')
      await Promise.all(models.map(model => model.close()))
    },
  }
}
