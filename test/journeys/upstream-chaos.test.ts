/**
 * Chaos: servers are killed, hung, slowed and restarted at random while requests run, told by a seed.
 *
 *     CHAOS_REQUESTS=10000 CHAOS_SEED=7 npx vitest run test/journeys/upstream-chaos.test.ts
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { type Chance, chance } from '../support/random.ts'

const REQUESTS = Number(process.env.CHAOS_REQUESTS ?? 1000)
const SEED = Number(process.env.CHAOS_SEED ?? 2026)
const AT_A_TIME = 12
const SERVERS = 4
const QUESTIONS = ['Who keeps the lamp?', 'What does the sea bring?', 'Tell me of the storm.']
const MOST_MS = 30_000

interface Server {
  port: number
  slm: TinySlm | undefined
}

const bodyOf = (number: number) => ({
  seed: number % 40,
  max_tokens: 12,
  stream: number % 2 === 0,
  messages: [{ role: 'user', content: QUESTIONS[number % QUESTIONS.length] }],
})

/** `undefined`: a proper error, whole or at the end of a stream; what is neither throws. */
function textIn(status: number, type: string, body: string): string | undefined {
  if (type.startsWith('text/event-stream')) {
    const events = body.split('\n').flatMap(line => (line.startsWith('data: ') ? [line.slice(6)] : []))
    if (events.at(-1) === '[DONE]')
      return events
        .slice(0, -1)
        .map(event => JSON.parse(event).choices[0]?.delta.content ?? '')
        .join('')
    expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { code: 'upstream_unavailable' } })
    return undefined
  }
  const answer = JSON.parse(body)
  if (status === 200) return answer.choices[0].message.content
  expect([502, 503, 504]).toContain(status)
  expect(answer.error.code).toMatch(/^(upstream_unavailable|upstream_timeout|overloaded)$/)
  return undefined
}

describe('chaos', () => {
  const servers: Server[] = []
  afterEach(async () => {
    await stopAll()
    for (const { slm } of servers.splice(0)) await slm?.close()
  })

  const start = async (server: Server, tokensPerSecond = 0): Promise<void> => {
    server.slm = await startTinySlm({ port: server.port, slots: 3, tokensPerSecond })
    server.port = server.slm.port
  }

  /** One thing that happens to one server. */
  async function happen(server: Server, random: Chance): Promise<void> {
    if (!server.slm) return start(server)
    const what = random.pick(['kill', 'kill', 'hang', 'refuse', '500', 'break:3', 'slow', 'well', 'well'])
    if (what === 'kill') {
      const { slm } = server
      server.slm = undefined
      await slm.close()
    } else if (what === 'slow') {
      await server.slm.close()
      await start(server, 60)
    } else server.slm.setFault(what === 'well' ? null : what, { health: random.integer(2) === 0 })
  }

  it(
    `of ${REQUESTS} requests every one is answered right or with a proper error, once, and none hangs`,
    async () => {
      const random = chance(SEED)
      for (let index = 0; index < SERVERS; index++) {
        const server: Server = { port: 0, slm: undefined }
        await start(server)
        servers.push(server)
      }
      const right = new Map<number, string>()
      const gateway = await startGateway({
        config: {
          pools: {
            chat: {
              models: ['tiny'],
              targets: servers.map(({ port }) => ({ url: `http://127.0.0.1:${port}`, slots: 3 })),
              health: { interval: '200ms', timeout: '200ms' },
              timeouts: { connect: '300ms', firstByte: '500ms', idle: '500ms', total: '5s' },
              breaker: { failures: 5, openFor: '500ms' },
              queue: { max: 20, timeout: '2s' },
            },
          },
        },
      })
      // No server has a fault yet; but the machine may be too busy for one of them to answer in time.
      let before = 0
      for (let number = 0; number < 120; before++) {
        const text = await asked(gateway, number)
        if (text !== undefined) right.set(number++, text)
      }

      let running = true
      const chaos = (async () => {
        while (running) {
          await happen(random.pick(servers), random)
          await sleep(10 + random.integer(60))
        }
      })()
      let [next, good, failed] = [0, 0, 0]
      const worker = async (): Promise<void> => {
        while (next < REQUESTS) {
          const number = next++ % 120
          const text = await asked(gateway, number)
          if (text === undefined) {
            failed++
            // As clients do; else a spell in which all are refused at once would use up every request.
            await sleep(50)
          } else {
            expect(text).toBe(right.get(number))
            good++
          }
        }
      }
      try {
        await Promise.all(Array.from({ length: AT_A_TIME }, worker))
      } finally {
        running = false
        await chaos
      }
      console.log(`${good} right, ${failed} proper errors, seed ${SEED}`)
      expect(good).toBeGreaterThan(REQUESTS / 5)

      const inFlight = async () => {
        const { targets, queued } = (await gateway.status()).pools.chat
        return [queued, ...targets.map((target: { in_flight: number }) => target.in_flight)]
      }
      await expect.poll(inFlight).toEqual([0, 0, 0, 0, 0])
      const ended = () => gateway.audit().filter(({ event }) => event === 'outcome')
      await expect.poll(() => ended().length).toBe(REQUESTS + before)
      const outcomes = ended()
      expect(new Set(outcomes.map(({ decision_id }) => decision_id)).size).toBe(REQUESTS + before)
      expect(outcomes.filter(({ outcome }) => outcome === 'completed')).toHaveLength(good + 120)
    },
    60_000 + REQUESTS * 60,
  )

  async function asked(gateway: RunningGateway, number: number): Promise<string | undefined> {
    const response = await chat(gateway, { body: bodyOf(number), signal: AbortSignal.timeout(MOST_MS) })
    let body: string
    try {
      body = await response.text()
    } catch (error) {
      // An answer of known length that broke off can only be told by a broken connection.
      expect((error as Error).name).not.toBe('TimeoutError')
      expect(response.headers.get('content-type')).toMatch(/^application\/json/)
      return undefined
    }
    return textIn(response.status, response.headers.get('content-type') ?? '', body)
  }
})
