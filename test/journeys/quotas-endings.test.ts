import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type GatewayOptions, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { startUpstream } from '../support/upstream.ts'

const LIMIT = 1_000_000
/** @param more - What else the decision says. */
const policy = (more = ''): Record<string, string> => ({
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "open", ${more}"limits": [
	{"name": "output", "key": "all", "unit": "output_tokens", "limit": ${LIMIT}, "window": "1d"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": 1},
]}
`,
})
const soon = 'time.format(input.time.now_ns + 700000000)'

let model: TinySlm
beforeEach(async () => {
  model = await startTinySlm({ tokensPerSecond: 200 })
})
afterEach(async () => {
  await stopAll()
  await model.close()
})

const left = async ({ url, keys }: RunningGateway): Promise<number[]> => {
  const answer = await fetch(`${url}/-/whoami`, { headers: { authorization: `Bearer ${keys.dev}` } })
  const { limits } = (await answer.json()) as { limits: { remaining: number }[] }
  return limits.map(({ remaining }) => remaining)
}
const pools = (members: object) => ({
  chat: { models: ['tiny'], targets: [{ url: model.url }], ...members },
})

interface Ending {
  readonly outcome: string
  readonly options?: () => GatewayOptions
}

const ENDINGS: Readonly<Record<string, Ending>> = {
  'its client leaves': { outcome: 'client_closed' },
  'its deadline is over': {
    outcome: 'upstream_failed',
    options: () => ({ config: { pools: pools({ timeouts: { total: '700ms' } }) } }),
  },
  'its right ends': { outcome: 'expired', options: () => ({ policy: policy(`"expires_at": ${soon}, `) }) },
  'the policy is asked again, and refuses': {
    outcome: 'revoked',
    options: () => ({ policy: UNTIL }),
  },
}

/** Everything until the moment that the body names. */
const UNTIL = {
  'gateway.rego': `${policy('"recheck_every": "300ms", ')['gateway.rego']?.trimEnd()} if time.now_ns() < to_number(input.request.body.user)

default decision := {"allow": false}
`,
}

it.each(Object.entries(ENDINGS))(
  'a stream is charged once for what was generated when %s',
  async (what, { outcome, options }) => {
    const gateway = await startGateway({ policy: policy(), targets: [model.url], ...options?.() })
    const leaving = new AbortController()
    const user = String((Date.now() + 700) * 1e6)
    const body = { stream: true, max_tokens: 5000, ignore_eos: true, user }
    const answer = await chat(gateway, { body, signal: leaving.signal })
    expect(answer.status).toBe(200)
    if (what === 'its client leaves') {
      await model.until(({ generated_tokens }) => generated_tokens > 20)
      leaving.abort()
    } else await answer.text().catch(() => '')
    const { generated_tokens } = await model.until(({ in_flight }) => in_flight === 0)
    const record = await gateway.audited(({ event }) => event === 'outcome')
    expect(record).toMatchObject({ outcome, usage: { output_tokens: generated_tokens, estimated: true } })
    await expect.poll(() => left(gateway)).toEqual([LIMIT - generated_tokens, 1])
  },
)

it('a stream that ends as the gateway stops is charged once for what was generated, also after a restart', async () => {
  const options = {
    policy: policy(),
    targets: [model.url],
    config: { store: { engine: 'sqlite', path: 'store.db' }, listen: { port: 0, drain: '300ms' } },
  }
  const first = await startGateway(options)
  const answer = await chat(first, { body: { stream: true, max_tokens: 5000, ignore_eos: true } })
  await model.until(({ generated_tokens }) => generated_tokens > 20)
  const stopping = first.stop('SIGTERM')
  expect(await answer.text()).toContain('error')
  await stopping
  const { generated_tokens } = await model.until(({ in_flight }) => in_flight === 0)
  const records = readFileSync(path.join(first.folder, 'audit.jsonl'), 'utf8')
  expect(records.match(/"event":"outcome"/g)).toHaveLength(1)
  expect(records).toContain(`"outcome":"drained"`)
  expect(records).toContain(`"output_tokens":${generated_tokens},`)
  const second = await startGateway({ ...options, folder: first.folder })
  await (await chat(second, { key: first.keys.dev, body: { max_tokens: 1, ignore_eos: true } })).text()
  await expect.poll(() => left({ ...second, keys: first.keys })).toEqual([LIMIT - generated_tokens - 1, 1])
})

it('what is cut is charged for what passed, where its server had told of less', async () => {
  const upstream = await startUpstream({
    onCall({ response }) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":0}}\n\n')
      for (const word of ['one', 'two', 'three'])
        response.write(`data: {"choices":[{"delta":{"content":"${word}"}}]}\n\n`)
      response.write('data: {"cho', () => response.destroy())
    },
  })
  const gateway = await startGateway({ policy: policy(), targets: [upstream.url] })
  await (await chat(gateway, { body: { stream: true } })).text().catch(() => '')
  expect(await gateway.audited(({ event }) => event === 'outcome')).toMatchObject({
    outcome: 'upstream_failed',
    usage: { input_tokens: 7, output_tokens: 3, estimated: true },
  })
  await upstream.close()
})
