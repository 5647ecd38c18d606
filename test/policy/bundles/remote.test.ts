/** The bundle protocol, with time standing still: a server and a clock that the test moves. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createRemoteBundle, type FetchedBundle } from '../../../src/policy/bundles/remote.ts'
import type { BundleRequest, BundleResponse } from '../../../src/policy/bundles/request.ts'
import { thrownBy } from '../../support/thrown.ts'

interface Asked extends BundleRequest {
  answer(response: Partial<BundleResponse>): void
  fail(): void
}

function world({ known, random = 0.5 }: { known?: FetchedBundle; random?: number } = {}) {
  let now = 1_000_000
  const waiting: Asked[] = []
  const sleepers: { ms: number; wake: () => void }[] = []
  const listeners: (() => void)[] = []
  const happened = (): void => {
    for (const listener of listeners.splice(0)) listener()
  }
  const remote = createRemoteBundle({
    known,
    now: () => now,
    random: () => random,
    request: request =>
      new Promise((resolve, reject) => {
        const answer = (response: Partial<BundleResponse>): void =>
          resolve({ status: 200, etag: undefined, archive: undefined, ...response })
        waiting.push({ ...request, answer, fail: () => reject(new Error('no route')) })
        request.signal.addEventListener('abort', () => reject(new Error('aborted')))
        happened()
      }),
    sleep: (ms, signal) =>
      new Promise(resolve => {
        const sleeper = { ms, wake: resolve }
        sleepers.push(sleeper)
        signal.addEventListener('abort', () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1)
          resolve()
        })
        happened()
      }),
  })
  onTestFinished(() => remote.close())
  async function next<T>(queue: T[], fits: (item: T) => boolean = () => true): Promise<T> {
    for (;;) {
      const index = queue.findIndex(fits)
      if (index >= 0) return queue.splice(index, 1)[0] as T
      await new Promise<void>(resolve => listeners.push(resolve))
    }
  }
  return {
    remote,
    asked: () => next(waiting),
    /** The next pause between two questions; the limit of a question is another. */
    pause: () => next(sleepers, ({ ms }) => !LIMITS.has(ms)),
    limit: () => next(sleepers, ({ ms }) => LIMITS.has(ms)),
    pass: (ms: number) => {
      now += ms
    },
    now: () => now,
  }
}
/** How long a question may take: when somebody waits for it, when nobody does, and when the server may wait. */
const LIMITS = new Set([10_000, 30_000, 60_000])
const one = Buffer.from('one')
const two = Buffer.from('two')
const KNOWN = { archive: one, etag: '"1"', confirmedAt: 500 }

describe('a question', () => {
  it('without anything known asks for a snapshot, at once', async () => {
    const { remote, asked, now } = world()
    expect(thrownBy(() => remote.look()).code).toBe('bundle_unavailable')
    const done = remote.ask()
    const question = await asked()
    expect(question.headers).toEqual({ prefer: 'modes=snapshot' })
    question.answer({ archive: one, etag: '"1"' })
    await done
    expect(remote.look()).toEqual({ archive: one, etag: '"1"', confirmedAt: now() })
  })

  it('names what is known, and 304 confirms it', async () => {
    const { remote, asked, now } = world({ known: KNOWN })
    const done = remote.ask()
    const question = await asked()
    expect(question.headers).toEqual({ prefer: 'modes=snapshot', 'if-none-match': '"1"' })
    question.answer({ status: 304 })
    await done
    expect(remote.look()).toEqual({ ...KNOWN, confirmedAt: now() })
  })

  it.each([
    ['fails', (question: Asked) => question.fail()],
    ['is answered 404', (question: Asked) => question.answer({ status: 404 })],
    ['is answered 500', (question: Asked) => question.answer({ status: 500 })],
  ])('that %s leaves nothing to look at, until the next one', async (_what, happen) => {
    const { remote, asked } = world({ known: KNOWN })
    const done = remote.ask()
    happen(await asked())
    await done
    expect(thrownBy(() => remote.look()).code).toBe('bundle_unavailable')
    const again = remote.ask()
    const question = await asked()
    expect(question.headers['if-none-match']).toBe('"1"')
    question.answer({ status: 304 })
    await again
    expect(remote.look().archive).toBe(one)
  })

  it('is not taken for answered by a 304 to what was never asked', async () => {
    const { remote, asked } = world()
    const done = remote.ask()
    ;(await asked()).answer({ status: 304 })
    await done
    expect(thrownBy(() => remote.look()).code).toBe('bundle_unavailable')
  })

  it('is given up after a while', async () => {
    const { remote, asked, limit } = world()
    const done = remote.ask()
    await asked()
    const { ms, wake } = await limit()
    expect(ms).toBe(10_000)
    wake()
    await done
    expect(thrownBy(() => remote.look()).code).toBe('bundle_unavailable')
  })

  it('that is answered late does not undo the answer to a later one', async () => {
    const { remote, asked } = world()
    const early = remote.ask()
    const first = await asked()
    const late = remote.ask()
    const second = await asked()
    second.answer({ archive: two, etag: '"2"' })
    await late
    first.answer({ archive: one, etag: '"1"' })
    await early
    expect(remote.look().archive).toBe(two)
  })
})

describe('following', () => {
  it('lets the server wait for something new, and asks again at once when it did', async () => {
    const { remote, asked, pause, pass } = world({ known: KNOWN })
    let notices = 0
    remote.follow(() => notices++)
    const first = await asked()
    expect(first.headers).toEqual({ prefer: 'modes=snapshot;wait=30', 'if-none-match': '"1"' })
    pass(30_000)
    first.answer({ status: 304 })
    const rest = await pause()
    expect([rest.ms, notices]).toEqual([0, 1])
    rest.wake()
    const second = await asked()
    pass(12_000)
    second.answer({ archive: two, etag: '"2"' })
    const again = await pause()
    expect([again.ms, notices]).toEqual([0, 2])
    again.wake()
    expect((await asked()).headers['if-none-match']).toBe('"2"')
  })

  it.each([
    [0, 1500],
    [1, 4500],
  ])('asks a server that does not wait every few seconds: with chance at %d, %d ms', async (random, ms) => {
    const { remote, asked, pause } = world({ known: KNOWN, random })
    remote.follow(() => {})
    ;(await asked()).answer({ status: 304 })
    expect((await pause()).ms).toBe(ms)
  })

  it('does not ask in a ring when each answer is another and none has an ETag', async () => {
    const { remote, asked, pause } = world()
    remote.follow(() => {})
    ;(await asked()).answer({ archive: one })
    const rest = await pause()
    expect(rest.ms).toBeGreaterThan(1000)
    rest.wake()
    const question = await asked()
    expect(question.headers).toEqual({ prefer: 'modes=snapshot' })
  })

  it('asks a server that fails less and less often, and soon again once it answers', async () => {
    const { remote, asked, pause } = world({ random: 0.5 })
    remote.follow(() => {})
    const pauses: number[] = []
    for (let failures = 0; failures < 9; failures++) {
      ;(await asked()).fail()
      const rest = await pause()
      pauses.push(rest.ms)
      rest.wake()
    }
    expect(pauses).toEqual([750, 1500, 3000, 6000, 12_000, 24_000, 45_000, 45_000, 45_000])
    ;(await asked()).answer({ archive: one })
    expect((await pause()).ms).toBe(3000)
  })

  it('never asks a failing server at once, whatever chance says', async () => {
    const { remote, asked, pause } = world({ random: 0 })
    remote.follow(() => {})
    ;(await asked()).fail()
    expect((await pause()).ms).toBe(500)
  })

  it('begins with a pause when the last question failed', async () => {
    const { remote, asked, pause } = world()
    const done = remote.ask()
    ;(await asked()).fail()
    await done
    remote.follow(() => {})
    expect((await pause()).ms).toBeGreaterThan(0)
  })

  it('ends when it is closed, in the middle of a question too', async () => {
    const { remote, asked } = world()
    let notices = 0
    remote.follow(() => notices++)
    const question = await asked()
    remote.close()
    expect(question.signal.aborted).toBe(true)
    await new Promise(resolve => setImmediate(resolve))
    expect(notices).toBe(0)
  })
})
