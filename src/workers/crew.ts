/**
 * Crew: so many workers, each with a number that its replacement takes over. One that ends unasked is
 * replaced: at once, or after a growing pause when it ends again and again.
 */
import type { Port } from './wire.ts'

/** A process that was started. */
export interface WorkerProcess extends Port {
  readonly pid: number
  onExit(listener: (end: WorkerEnd) => void): void
  kill(): void
}

export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** A worker as those who work with it know it. */
export interface Member {
  /** Takes requests from when it resolves. */
  readonly ready: Promise<void>
  /** The process is gone. */
  ended(): void
  stop(hurry: boolean): Promise<void>
}

export interface Crew {
  /** @returns When all of them take requests. @throws when one of them does not come to it; then none runs. */
  open(): Promise<void>
  /** How often each was replaced, by its number. */
  restarts(): ReadonlyMap<number, number>
  /** Ends one that is not as it should be: it is replaced. */
  kill(number: number): void
  stop(hurry: boolean): Promise<void>
  /** Ends all of them at once. */
  close(): void
}

export interface CrewNeeds {
  readonly count: number
  start(number: number): WorkerProcess
  join(number: number, process: WorkerProcess): Member
  onLost(number: number, pid: number, end: WorkerEnd, againInMs: number): void
  onReady(number: number, pid: number): void
  onFailed(number: number, pid: number, error: Error): void
  /** Calls once, after so many milliseconds. @returns what calls it off. */
  after(ms: number, work: () => void): () => void
  /** Milliseconds on a clock that does not go back. */
  steady(): number
}

interface Post {
  readonly number: number
  process: WorkerProcess | undefined
  member: Member | undefined
  startedAt: number
  pauseMs: number
  restarts: number
  callOff: (() => void) | undefined
}

/** Who lived this long is replaced at once. */
const LONG_LIFE_MS = 30_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

export function createCrew(needs: CrewNeeds): Crew {
  const { count, start, join, onLost, onReady, onFailed, after, steady } = needs
  const posts: readonly Post[] = Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    process: undefined,
    member: undefined,
    startedAt: 0,
    pauseMs: 0,
    restarts: 0,
    callOff: undefined,
  }))
  let opened = false
  let stopping = false

  function man(post: Post): Promise<void> {
    const started = start(post.number)
    const { pid } = started
    const member = join(post.number, started)
    Object.assign(post, { process: started, member, startedAt: steady(), callOff: undefined })
    started.onExit(end => {
      if (post.process !== started) return
      post.process = undefined
      post.member = undefined
      member.ended()
      if (opened && !stopping) replace(post, pid, end)
    })
    return member.ready.then(() => onReady(post.number, pid))
  }

  function replace(post: Post, pid: number, end: WorkerEnd): void {
    const lived = steady() - post.startedAt
    const pauseMs = lived >= LONG_LIFE_MS ? 0 : post.pauseMs
    post.pauseMs =
      lived >= LONG_LIFE_MS ? 0 : Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2))
    post.restarts++
    onLost(post.number, pid, end, pauseMs)
    post.callOff = after(pauseMs, () => void manAgain(post))
  }

  async function manAgain(post: Post): Promise<void> {
    const begun = man(post)
    const { process: started } = post
    try {
      await begun
    } catch (error) {
      if (stopping || !started) return
      onFailed(post.number, started.pid, error as Error)
      started.kill()
    }
  }

  function close(): void {
    stopping = true
    for (const { process, callOff } of posts) {
      callOff?.()
      process?.kill()
    }
  }

  return {
    async open() {
      try {
        await Promise.all(posts.map(man))
        opened = true
      } catch (error) {
        close()
        throw error
      }
    },
    restarts: () => new Map(posts.map(({ number, restarts }) => [number, restarts])),
    kill: number => posts[number - 1]?.process?.kill(),
    async stop(hurry) {
      stopping = true
      for (const { callOff } of posts) callOff?.()
      await Promise.all(posts.map(({ member }) => member?.stop(hurry).catch(() => {})))
      close()
    },
    close,
  }
}
