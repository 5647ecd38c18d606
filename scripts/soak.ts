/**
 * `npm run soak -- --minutes N`: mixed traffic with reloads, aborts and faults at a built gateway, and what
 * grew meanwhile: memory, file descriptors, requests that never ended. Exits 1 when something did.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startTinySlm } from '../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../test/support/gateway.ts'
import { sendRaw } from '../test/support/raw.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
const until = Date.now() + Number(values.minutes) * 60_000

const policy = (turn: number): string => `package gateway

decision := {"allow": true, "rule": "soak_${turn % 5}", "limits": [
	{"name": "requests", "key": input.principal.id, "unit": "requests", "limit": 1000000, "window": "1m"},
	{"name": "streams", "key": input.principal.id, "unit": "concurrency", "limit": 100},
	{"name": "tokens", "key": input.principal.id, "unit": "tokens", "limit": 100000000, "window": "1h"},
]}
`

interface Sample {
  readonly rss_kb: number
  readonly fds: number
}

function sample({ process: { pid } }: RunningGateway): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return {
    rss_kb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]),
    fds: readdirSync(`/proc/${pid}/fd`).length,
  }
}

const model = await startTinySlm({ tokensPerSecond: 500 })
const gateway = await startGateway({
  policy: { 'gateway.rego': policy(0) },
  targets: [model.url],
  config: { limits: { unauthenticated: false } },
})
const counts: Record<string, number> = {}
const count = (what: string): void => {
  counts[what] = (counts[what] ?? 0) + 1
}

const long = { stream: true, max_tokens: 200, ignore_eos: true }
const traffic: readonly (() => Promise<void>)[] = [
  async () => void (await (await chat(gateway)).arrayBuffer()),
  async () => void (await (await chat(gateway, { body: { stream: true } })).text()),
  async () => {
    const leaving = new AbortController()
    const response = await chat(gateway, { body: long, signal: leaving.signal })
    await response.body?.getReader().read()
    leaving.abort()
  },
  async () => void (await (await chat(gateway, { key: 'wrong' })).text()),
  async () => void (await sendRaw(gateway.url, 'POST / HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n')),
  async () => void (await (await chat(gateway, { body: { messages: 'none' } })).text()),
]

async function client(turn: number): Promise<void> {
  for (let next = turn; Date.now() < until; next++) {
    const kind = next % traffic.length
    await (traffic[kind] as () => Promise<void>)().then(
      () => count(`kind_${kind}`),
      () => count(`kind_${kind}_failed`),
    )
    await pause(5)
  }
}

async function disturb(): Promise<void> {
  for (let turn = 1; Date.now() < until; turn++) {
    await pause(3000)
    gateway.writePolicy({ 'gateway.rego': policy(turn) })
    model.setFault(turn % 4 === 0 ? 'break:3' : turn % 4 === 2 ? '500:2' : null)
  }
  model.setFault(null)
}

const samples: Sample[] = []
async function watch(): Promise<void> {
  while (Date.now() < until) {
    await pause(10_000)
    samples.push(sample(gateway))
    process.stdout.write(`${JSON.stringify({ ...samples.at(-1), ...counts })}\n`)
  }
}

await Promise.all([...Array.from({ length: 8 }, (_, turn) => client(turn)), disturb(), watch()])
await pause(6000)
const after = sample(gateway)
const inFlight = (await gateway.status()).pools.chat.targets[0].in_flight
const verified = (await gateway.command('audit', 'verify')).code
// Once warm: the first fifth of the time is left out.
const warm = samples.slice(Math.floor(samples.length / 5))
const mean = (part: readonly Sample[]): number =>
  part.reduce((sum, { rss_kb }) => sum + rss_kb, 0) / Math.max(1, part.length)
const half = Math.floor(warm.length / 2)
const growth = mean(warm.slice(half)) / mean(warm.slice(0, half) as Sample[]) - 1
const verdict = {
  growth_percent: Math.round(growth * 1000) / 10,
  fds: after.fds,
  in_flight: inFlight,
  audit_verify: verified,
}
process.stdout.write(`${JSON.stringify(verdict)}\n`)
process.exitCode = growth > 0.15 || after.fds > 60 || inFlight !== 0 || verified !== 0 ? 1 : 0
await stopAll()
await model.close()
