/**
 * A connection to Redis 7+ or Valkey, and whether it answers. The one door of `ioredis`.
 *
 * Nothing waits for a Redis that is away: a command that is not answered soon fails, and so does
 * every further one, at once, until Redis has answered a ping again.
 */
import { Redis } from 'ioredis'
import { type StoreStateListener, StoreUnavailable } from './store.ts'

/** Numbers and text go in; text, numbers and lists of them come out. */
export type RedisValue = string | number
export type Reply = string | number | null | readonly Reply[]

export interface RedisClient {
  /** Whether it answers, as far as is known. */
  ok(): boolean
  /** @throws StoreUnavailable, as a rejection: the script may or may not have run. */
  run(script: Script, keys: readonly string[], values: readonly RedisValue[]): Promise<Reply>
  /** Calls with every message, and with none when some may have been missed. */
  subscribe(channel: string, onMessage: (message: string | undefined) => void): void
  /** Is done after Redis was away, and before anybody else may ask it again. */
  beforeBack(work: () => Promise<void>): void
  close(): Promise<void>
}

export interface Script {
  readonly name: string
  /** Lua. */
  readonly text: string
}

/** More than a turn of the event loop: what arrived while this process was busy is read first. */
const GRACE_MS = 50
const ASK_AGAIN_EVERY_MS = 200
/** A connection that brings no messages any more says nothing of it by itself. */
const LISTEN_EVERY_MS = 200
const HANG_UP_WITHIN_MS = 100
const SLOWEST_RECONNECT_MS = 400

export interface RedisClientNeeds {
  readonly url: string
  /** Slower than this is away. */
  readonly answerWithinMs: number
  readonly onState?: StoreStateListener | undefined
}

/** @returns When Redis answers, or is known to be away. */
export async function connectRedis({ url, answerWithinMs, onState }: RedisClientNeeds): Promise<RedisClient> {
  const options = {
    connectTimeout: answerWithinMs,
    retryStrategy: (times: number) => Math.min(50 * times, SLOWEST_RECONNECT_MS),
  }
  const commands = new Redis(url, {
    ...options,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  })
  const messages = new Redis(url, {
    ...options,
    maxRetriesPerRequest: null,
    disconnectTimeout: HANG_UP_WITHIN_MS,
  })
  const known = new Set<string>()
  const listeners = new Map<string, (message: string | undefined) => void>()
  const chores: (() => Promise<void>)[] = []
  let ok: boolean | undefined
  let asking: Promise<void> | undefined
  let closed = false
  let wake = (): void => {}
  let opened = (): void => {}
  const isKnown = new Promise<void>(resolve => {
    opened = resolve
  })

  function tell(answers: boolean, cause?: unknown): void {
    if (ok === answers || closed) return
    ok = answers
    onState?.(answers, cause)
    opened()
    if (!answers) void ask()
  }

  /** Asks until Redis answers; whoever was told nothing meanwhile looks again. */
  function ask(): Promise<void> {
    asking ??= (async () => {
      while (!closed && ok !== true) {
        try {
          await inTime(Promise.all([commands.ping(), messages.ping()]), answerWithinMs)
          for (const chore of chores) await chore()
          tell(true)
          for (const listener of listeners.values()) listener(undefined)
        } catch (cause) {
          tell(false, cause)
          await new Promise<void>(resolve => {
            wake = resolve
            setTimeout(resolve, ASK_AGAIN_EVERY_MS).unref()
          })
        }
      }
      asking = undefined
    })()
    return asking
  }

  async function run(script: Script, keys: readonly string[], values: readonly RedisValue[]): Promise<Reply> {
    if (!known.has(script.name)) {
      known.add(script.name)
      commands.defineCommand(script.name, { lua: script.text })
    }
    const command = commands as unknown as Record<string, (...args: RedisValue[]) => Promise<Reply>>
    leaveTogether()
    try {
      const answer = command[script.name]?.(keys.length, ...keys, ...values) as Promise<Reply>
      return await inTime(answer, answerWithinMs)
    } catch (cause) {
      const unavailable = new StoreUnavailable(`Redis: ${(cause as Error).message}`, { cause })
      tell(false, unavailable)
      throw unavailable
    }
  }

  let held: Redis['stream'] | undefined

  /** What is asked in one turn of the event loop is written at its end: a write costs more than the question. */
  function leaveTogether(): void {
    const { stream } = commands
    if (held === stream || !stream?.writable) return
    held = stream
    stream.cork()
    setImmediate(() => {
      held = undefined
      stream.uncork()
    })
  }

  /** What others write is told in messages: without them this gateway must not think that it knows. */
  async function listen(): Promise<void> {
    try {
      await inTime(messages.ping(), answerWithinMs)
    } catch (cause) {
      tell(false, cause)
      messages.disconnect(true)
    }
    listening = false
  }

  let listening = false
  const listenAgain = setInterval(() => {
    if (ok !== true || listening) return
    listening = true
    void listen()
  }, LISTEN_EVERY_MS).unref()

  // Without a listener an error would end the process; what it means is told by `tell`.
  commands.on('error', error => tell(false, error))
  commands.on('close', () => tell(false, new Error('the connection was closed')))
  messages.on('error', () => {})
  messages.on('message', (channel, message) => listeners.get(channel)?.(message))
  messages.on('ready', () => {
    for (const listener of listeners.values()) listener(undefined)
  })
  commands.on('ready', () => {
    wake()
    void ask()
  })
  await inTime(isKnown, answerWithinMs).catch(cause => tell(false, cause))

  return {
    ok: () => ok === true,
    run,
    subscribe(channel, onMessage) {
      listeners.set(channel, onMessage)
      void messages.subscribe(channel).then(
        () => onMessage(undefined),
        () => {},
      )
    },
    beforeBack: work => void chores.push(work),
    async close() {
      closed = true
      clearInterval(listenAgain)
      commands.disconnect()
      messages.disconnect()
    },
  }
}

/** @throws Error when it is late, and not only because this process, and maybe the machine, stood still. */
function inTime<T>(answer: Promise<T>, withinMs: number): Promise<T> {
  const due = performance.now() + withinMs
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => {
      const stoodStillMs = performance.now() - due
      timer = setTimeout(() => reject(new Error('no answer in time')), Math.max(GRACE_MS, stoodStillMs))
    }, withinMs)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
