import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Change } from '../../src/contract/shelf.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { redisServer, startRedis, type TestRedis } from '../support/redis.ts'

/** Stands between a gateway and Redis. */
interface Line {
  readonly url: string
  /** From now on nothing passes on the connections that wait for messages, and nobody is told. */
  silence(): void
}

async function startLine(redis: string): Promise<Line> {
  const waiting = new Set<Socket>()
  const sockets = new Set<Socket>()
  const server: Server = createServer(near => {
    const far = connect(Number(new URL(redis).port), '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    near.on('data', part => {
      if (/subscribe/i.test(part.toString('latin1'))) waiting.add(near).add(far)
    })
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    silence() {
      for (const socket of waiting) socket.unpipe().pause()
    },
  }
}

/** However busy the machine: who is well answers in time. */
const answerWithinMs = 3000

function messages(): void {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop('SIGKILL'))

  async function open(url: string, gateway: string, states: boolean[] = []) {
    const store = await openRedisStore({
      url,
      prefix: 'sallyport',
      gateway,
      now: Date.now,
      answerWithinMs,
      onState: ok => states.push(ok),
    })
    onTestFinished(() => store.close())
    return store
  }

  it('that stop coming, without a word, are missed, and caught up with', async () => {
    const line = await startLine(redis.url)
    const states: boolean[] = []
    const shelf = (await open(line.url, 'a', states)).shelf<string>('grants')
    const other = (await open(redis.url, 'b')).shelf<string>('grants')
    const changes: Change<string>[] = []
    shelf.watch(change => changes.push(change))
    await other.put('g', 'active', 0)
    await expect.poll(() => changes).toHaveLength(1)
    await expect.poll(() => states.at(-1)).toBe(true)
    const before = states.length
    line.silence()
    await other.put('g', 'revoked', 1)
    await expect.poll(() => changes).toContainEqual({ kept: { id: 'g', version: 2, value: 'revoked' } })
    expect(states[before]).toBe(false)
    await expect.poll(() => states.at(-1)).toBe(true)
  })

  it('are known, all of them, before a store that was away is asked again', async () => {
    const line = await startLine(redis.url)
    const values: (string | undefined)[] = []
    let last: string | undefined
    const store = await openRedisStore({
      url: line.url,
      prefix: 'back',
      gateway: 'a',
      now: Date.now,
      answerWithinMs,
      onState: ok => ok && values.push(last),
    })
    onTestFinished(() => store.close())
    store.shelf<string>('grants').watch(change => {
      last = 'kept' in change ? change.kept.value : undefined
    })
    const other = await openRedisStore({
      url: redis.url,
      prefix: 'back',
      gateway: 'b',
      now: Date.now,
      answerWithinMs,
    })
    onTestFinished(() => other.close())
    await other.shelf<string>('grants').put('g', 'active', 0)
    await expect.poll(() => last).toBe('active')
    expect(values).toEqual([undefined])
    line.silence()
    await other.shelf<string>('grants').put('g', 'revoked', 1)
    await expect.poll(() => values.length).toBe(2)
    expect(values).toEqual([undefined, 'revoked'])
  })
}

/** Of the event loop: what timers and sockets had to say was heard. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

it.runIf(redisServer())('is not away where it was this process that stood still', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop('SIGKILL'))
  const states: boolean[] = []
  const needs = { url: redis.url, prefix: 'still', gateway: 'a', now: Date.now, answerWithinMs: 1000 }
  const store = await openRedisStore({ ...needs, onState: ok => states.push(ok) })
  onTestFinished(() => store.close())
  redis.process.kill('SIGSTOP')
  const put = store.shelf<string>('grants').put('g', 'active', 0)
  // Three seconds, which look to this process like one turn of its event loop.
  await turn()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000)
  // In which its time was over.
  await turn()
  redis.process.kill('SIGCONT')
  expect(await put).toMatchObject({ value: 'active' })
  expect(states).toEqual([true])
})

// Where there is no Redis to start, that was said before the tests began; CI demands one.
if (redisServer() === undefined) it('needs redis-server', () => expect(process.env.CI).toBeUndefined())
else describe('messages', messages)
