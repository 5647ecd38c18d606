import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { chat, type GatewayOptions, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { startUpstream, type Upstream, type UpstreamCall } from '../support/upstream.ts'

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
const soon = 'time.format(input.time.now_ns + 3000000000)'

/** What the model generates of a stream before it waits for its end, which never comes. */
const PIECES = 25

let model: Upstream
/** How many streams the model has written all those pieces of. */
let written = 0
beforeEach(async () => {
  written = 0
  model = await startUpstream({ onCall: generate })
})
afterEach(async () => {
  await stopAll()
  await model.close()
})

function generate({ request, response, body }: UpstreamCall): void {
  if (!JSON.parse(body).stream) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}')
    return
  }
  request.socket.once('end', () => response.destroy())
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let piece = 1; piece < PIECES; piece++) response.write(event(`piece ${piece}`))
  response.write(event('the last'), () => written++)
}
const event = (content: string): string => `data: {"choices":[{"delta":{"content":"${content}"}}]}\n\n`

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
  /** What ends it; else its time does. */
  readonly end?: (leaving: AbortController) => void
}

const ENDINGS: Readonly<Record<string, Ending>> = {
  'its client leaves': { outcome: 'client_closed', end: leaving => leaving.abort() },
  'its deadline is over': {
    outcome: 'upstream_failed',
    options: () => ({ config: { pools: pools({ timeouts: { total: '3s' } }) } }),
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
  async (_what, { outcome, options, end }) => {
    const gateway = await startGateway({ policy: policy(), targets: [model.url], ...options?.() })
    const leaving = new AbortController()
    const user = String((Date.now() + 3000) * 1e6)
    const answer = await chat(gateway, { body: { stream: true, user }, signal: leaving.signal })
    expect(answer.status).toBe(200)
    await expect.poll(() => written).toBe(1)
    end?.(leaving)
    await answer.text().catch(() => '')
    const record = await gateway.audited(({ event }) => event === 'outcome')
    expect(record).toMatchObject({ outcome, usage: { output_tokens: PIECES, estimated: true } })
    await expect.poll(() => left(gateway)).toEqual([LIMIT - PIECES, 1])
  },
)

it('a stream that ends as the gateway stops is charged once for what was generated, also after a restart', async () => {
  const options = {
    policy: policy(),
    targets: [model.url],
    config: { store: { engine: 'sqlite', path: 'store.db' }, listen: { port: 0, drain: '300ms' } },
  }
  const first = await startGateway(options)
  const answer = await chat(first, { body: { stream: true } })
  await expect.poll(() => written).toBe(1)
  const stopping = first.stop('SIGTERM')
  expect(await answer.text()).toContain('error')
  await stopping
  const records = readFileSync(path.join(first.folder, 'audit.jsonl'), 'utf8')
  expect(records.match(/"event":"outcome"/g)).toHaveLength(1)
  expect(records).toContain(`"outcome":"drained"`)
  expect(records).toContain(`"output_tokens":${PIECES},`)
  const second = await startGateway({ ...options, folder: first.folder })
  await (await chat(second, { key: first.keys.dev, body: { max_tokens: 1 } })).text()
  await expect.poll(() => left({ ...second, keys: first.keys })).toEqual([LIMIT - PIECES - 1, 1])
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
