import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import { startTinySlm } from '../../examples/tiny-slm/server.ts'
import { chat, type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { chance } from '../support/random.ts'

const POLICY = {
  'gateway.rego': `package gateway

decision := {"allow": true, "rule": "open", "limits": [
	{"name": "output", "key": "all", "unit": "output_tokens", "limit": 10000000, "window": "1d"},
	{"name": "streams", "key": "all", "unit": "concurrency", "limit": 1000},
]}
`,
}

const STREAMS = Number(process.env.SALLYPORT_TEST_STREAMS ?? 300)
const AT_ONCE = 12

interface Plan {
  readonly length: number
  /** The client leaves once so many pieces have arrived, */
  readonly leaveAfter: number | undefined
  /** or after so many milliseconds, whatever has arrived by then. */
  readonly leaveAfterMs: number | undefined
}

interface Read {
  /** Pieces of text that arrived. */
  readonly pieces: number
  /** What the model said that it generated; undefined of a stream that was cut. */
  readonly reported: number | undefined
  /** Undefined of one that was cut before there was an answer. */
  readonly id: string | undefined
}

async function read(gateway: RunningGateway, { length, leaveAfter, leaveAfterMs }: Plan): Promise<Read> {
  const leaving = new AbortController()
  const left = once(leaving.signal, 'abort').then(() => undefined)
  const timer = leaveAfterMs === undefined ? undefined : setTimeout(() => leaving.abort(), leaveAfterMs)
  const body = { stream: true, max_tokens: length, ignore_eos: true, stream_options: { include_usage: true } }
  let id: string | undefined
  let text = ''
  const pieces = (): number => (text.match(/"content":"(?!")/g) ?? []).length
  try {
    const answer = await chat(gateway, { body, signal: leaving.signal })
    id = answer.headers.get('x-decision-id') as string
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    for (;;) {
      // Of an answer that has come whole when its reader leaves, fetch may never tell the end.
      const part = await Promise.race([reader.read(), left])
      if (!part?.value) break
      text += Buffer.from(part.value).toString('latin1')
      if (leaveAfter !== undefined && pieces() >= leaveAfter) leaving.abort()
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error
  }
  clearTimeout(timer)
  const reported = /"completion_tokens":(\d+)/.exec(text)?.[1]
  return { id, pieces: pieces(), reported: reported === undefined ? undefined : Number(reported) }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0)

afterEach(stopAll)

it(`charges ${STREAMS} streams, a third of them cut, for what the model generated, once`, {
  timeout: 120_000,
}, async () => {
  const model = await startTinySlm({ tokensPerSecond: 100 })
  const gateway = await startGateway({
    policy: POLICY,
    targets: [model.url],
    config: { store: { engine: 'sqlite', path: 'store.db' } },
  })
  const { integer } = chance(5)
  const plans = Array.from({ length: STREAMS }, (_, index) => {
    return {
      length: 12 + integer(24),
      leaveAfter: index % 6 === 0 ? 1 + integer(8) : undefined,
      leaveAfterMs: index % 6 === 3 ? integer(100) : undefined,
    }
  })
  const results: Read[] = []
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let plan = plans.pop(); plan; plan = plans.pop()) results.push(await read(gateway, plan))
    }),
  )
  const { generated_tokens } = await model.until(stats => stats.in_flight === 0)
  const ended = () => gateway.audit().filter(({ event }) => event === 'outcome')
  // Of those that were cut before they were decided, nothing was forwarded.
  const forwarded = model.stats().requests
  await expect.poll(() => ended().length).toBe(forwarded)
  const charged = new Map(
    ended().map(({ decision_id, usage }) => [decision_id, (usage?.output_tokens ?? 0) as number]),
  )

  const whole = results.filter(({ reported }) => reported !== undefined)
  const cut = results.filter(({ reported }) => reported === undefined)
  expect(cut.length).toBeGreaterThan(STREAMS / 5)
  for (const { id, reported } of whole) expect(charged.get(id)).toBe(reported)
  for (const { id, pieces } of cut) if (pieces > 0) expect(charged.get(id)).toBeGreaterThanOrEqual(pieces)
  expect(charged.size).toBe(forwarded)
  const total = sum([...charged.values()])
  // What a client that left did not read was generated all the same: but a model that stood still when the
  // gateway cut it off has generated a little more than came.
  expect(total).toBeGreaterThan(sum(results.map(({ pieces, reported }) => reported ?? pieces)))
  expect(total).toBeLessThanOrEqual(generated_tokens)
  if (process.env.SALLYPORT_TEST_STREAMS)
    console.log({ streams: STREAMS, whole: whole.length, cut: cut.length, total, generated_tokens })

  const answer = await fetch(`${gateway.url}/-/whoami`, {
    headers: { authorization: `Bearer ${gateway.keys.dev}` },
  })
  const { limits } = (await answer.json()) as { limits: { name: string; remaining: number }[] }
  expect(limits.map(({ remaining }) => remaining)).toEqual([10_000_000 - total, 1000])
  await model.close()
})
