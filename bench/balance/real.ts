/**
 * `npm run bench:balance:real`: the shape of the simulation, seen with real servers and sockets: four
 * tiny-slm servers of two slots, at a pace and with a cost for what they have not read, behind a gateway.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { startTinySlm } from '../../examples/tiny-slm/server.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { BalanceName } from '../../src/contract/config/pools.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { createOperatorLog } from '../../src/telemetry/operator-log.ts'
import { type Chance, createChance } from './chance.ts'

const SERVERS = 4
const SLOTS = 2
const TALKS = 60
const TALKS_PER_S = 4
const TURNS = [2, 6] as const
const THINKING_MS = 400
const ANSWER_TOKENS = 12
const WORDS = 'the lamp keeps a long light over the dark sea and the keeper counts every ship'.split(' ')

interface Seen {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly hitRate: number
}

for (const balance of ['round_robin', 'least_in_flight', 'prefix'] as const) {
  const { p50Ms, p99Ms, hitRate } = await measured(balance)
  process.stdout.write(
    `${balance.padEnd(16)} p50 ${p50Ms.toFixed(0)} ms  p99 ${p99Ms.toFixed(0)} ms  cache hits ${(hitRate * 100).toFixed(0)} %\n`,
  )
}

async function measured(balance: BalanceName): Promise<Seen> {
  const servers = await Promise.all(
    Array.from({ length: SERVERS }, () =>
      startTinySlm({ slots: SLOTS, tokensPerSecond: 60, promptTokenMs: 2, remembered: 4 * SLOTS }),
    ),
  )
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
  mkdirSync(path.join(folder, 'policies'))
  writeFileSync(
    path.join(folder, 'policies/gateway.rego'),
    'package gateway\n\ndecision := {"allow": true}\n',
  )
  const file = path.join(folder, 'gateway.config.json')
  const targets = servers.map(({ url }) => ({ url, slots: SLOTS }))
  writeFileSync(
    file,
    JSON.stringify({
      listen: { port: 0 },
      admin: { port: 0 },
      identity: { anonymous: { id: 'bench', roles: [] } },
      pools: { chat: { models: ['tiny'], balance, targets } },
    }),
  )
  const { config } = loadConfig(file)
  if (!config) throw new Error('the config is not valid')
  const gateway = await createGateway({ config, log: createOperatorLog(process.stderr), stateFolder: folder })
  const firstBytes: number[] = []
  const chance = createChance(2026)
  const talks: Promise<void>[] = []
  for (let talk = 0; talk < TALKS; talk++) {
    talks.push(converse(gateway.url, createChance(talk), firstBytes))
    await setTimeout(chance.exponential(1000 / TALKS_PER_S))
  }
  await Promise.all(talks)
  await gateway.stop()
  const stats = servers.map(server => server.stats())
  for (const server of servers) await server.close()
  rmSync(folder, { recursive: true })
  const sorted = firstBytes.toSorted((one, other) => one - other)
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  const sum = (of: (one: (typeof stats)[number]) => number): number =>
    stats.reduce((total, one) => total + of(one), 0)
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    hitRate: 1 - sum(one => one.unseen_tokens) / sum(one => one.prompt_tokens),
  }
}

async function converse(url: string, chance: Chance, firstBytes: number[]): Promise<void> {
  const messages: { role: string; content: string }[] = []
  for (let turns = chance.between(TURNS); turns > 0; turns--) {
    messages.push({ role: 'user', content: question(chance) })
    const began = performance.now()
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'tiny',
        stream: true,
        max_tokens: ANSWER_TOKENS,
        messages,
        ignore_eos: true,
      }),
    })
    let first = true
    for await (const _ of response.body as ReadableStream<Uint8Array>) {
      if (first) firstBytes.push(performance.now() - began)
      first = false
    }
    messages.push({ role: 'assistant', content: question(chance) })
    await setTimeout(chance.exponential(THINKING_MS))
  }
}

function question(chance: Chance): string {
  return Array.from({ length: 60 }, () => WORDS[chance.between([0, WORDS.length - 1])]).join(' ')
}
