/**
 * Dispatcher: carries requests whose body was read, which is nearly all of them. The one door of
 * `undici`, which does this for half of what Node's own client and a middleware on top of it cost.
 *
 * One client holds one connection, and the last one used is the first to be used again, so that what a
 * server closes is mostly what is not needed.
 */
import type { Socket } from 'node:net'
import { buildConnector, Client, type Dispatcher } from 'undici'
import {
  type Answer,
  type AnswerReader,
  type Carrier,
  headerIn,
  type UpstreamCall,
  type UpstreamEvents,
  type UpstreamRequest,
} from './call.ts'
import { OLDEST_CONNECTION_MS, type Origin, originKey, tlsOptions } from './origin.ts'

/** Connections to one origin that wait for work; more of them are closed. */
const MOST_FREE = 256
/** How long one waits, ms; less if the server says so. */
const KEPT_MS = 4000

/** Where lines lead. */
interface Home {
  /** Those without work. */
  readonly free: Line[]
  readonly connect: buildConnector.connector
}

/** A connection, or the place of one. */
interface Line {
  readonly client: Client
  readonly home: Home
  socket: Socket | undefined
  /** Has served since it was connected. */
  used: boolean
  connectedAt: number
}

/** @param now - Milliseconds on a clock that does not go back. */
export function createDispatcher(now: () => number): Carrier {
  const homes = new Map<string, Home>()
  const open = new Set<Client>()

  function lineTo(origin: Origin): Line {
    const key = originKey(origin)
    const known = homes.get(key)
    if (known) return known.free.pop() ?? connect(origin, known)
    const home = { free: [], connect: buildConnector({ timeout: 0, ...tlsOptions(origin.tls) }) }
    homes.set(key, home)
    return connect(origin, home)
  }

  function connect({ url }: Origin, home: Home): Line {
    const client = new Client(url.origin, {
      pipelining: 1,
      keepAliveTimeout: KEPT_MS,
      // Whoever waits for an answer knows for how long.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) =>
        home.connect(options, (...outcome) => {
          line.socket = outcome[1] ?? undefined
          callback(...outcome)
        }),
    })
    const line: Line = { client, home, socket: undefined, used: false, connectedAt: now() }
    open.add(client)
    client.on('connect', () => {
      line.connectedAt = now()
    })
    client.on('disconnect', () => {
      line.used = false
      // One that has work again connects again.
      if (home.free.includes(line)) drop(line)
    })
    return line
  }

  function release(line: Line): void {
    line.used = true
    const young = now() - line.connectedAt < OLDEST_CONNECTION_MS
    if (young && line.home.free.length < MOST_FREE && open.has(line.client)) line.home.free.push(line)
    else drop(line)
  }

  function drop(line: Line): void {
    const index = line.home.free.indexOf(line)
    if (index >= 0) line.home.free.splice(index, 1)
    if (open.delete(line.client)) void line.client.destroy()
  }

  return {
    send(origin, request, events) {
      const line = lineTo(origin)
      const call = new Call(events, line, release, drop)
      try {
        line.client.dispatch(dispatched(origin.url, request), call)
      } catch (fault) {
        call.onResponseError(undefined, fault as Error)
      }
      return call
    },
    closeIdle(origin) {
      for (const line of [...(homes.get(originKey(origin))?.free ?? [])]) drop(line)
    },
    keep(origins) {
      const kept = new Set(origins.map(originKey))
      for (const [key, { free }] of homes) {
        if (kept.has(key)) continue
        for (const line of [...free]) drop(line)
        homes.delete(key)
      }
    },
    close() {
      for (const client of open) void client.destroy()
      open.clear()
      homes.clear()
    },
  }
}

function dispatched(
  url: URL,
  { method, target, headers, body }: UpstreamRequest,
): Dispatcher.DispatchOptions {
  return {
    method: method as Dispatcher.HttpMethod,
    path: url.pathname.replace(/\/+$/, '') + target,
    headers: headers as Record<string, string>,
    body: body ?? null,
  }
}

/** One request on one line; also the answer to it, once that has begun. */
class Call implements UpstreamCall, Answer, Dispatcher.DispatchHandler {
  status = 0
  rawHeaders: readonly string[] = []
  #controller: Dispatcher.DispatchController | undefined
  #reader: AnswerReader | undefined
  /** What came before there was a reader. */
  #early: Buffer[] = []
  #state: 'waiting' | 'answering' | 'whole' | 'broken' = 'waiting'
  #left = false
  /** Told until there is an answer, and let go of then: it knows all that was asked. */
  #events: UpstreamEvents | undefined

  constructor(
    events: UpstreamEvents,
    private readonly line: Line,
    private readonly release: (line: Line) => void,
    private readonly drop: (line: Line) => void,
  ) {
    this.#events = events
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#state === 'broken') controller.abort(new Error('aborted'))
    else this.#events?.onConnected()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200 || this.#state !== 'waiting') return
    this.#state = 'answering'
    this.status = status
    this.rawHeaders = (controller.rawHeaders as unknown as Buffer[]).map(part => part.toString('latin1'))
    // Kept for as long as the answer lasts otherwise, and with them the bytes that they were read from.
    controller.rawHeaders = null
    this.#events?.onAnswer(this)
    this.#events = undefined
  }

  onResponseData(_controller: Dispatcher.DispatchController, part: Buffer): void {
    if (this.#state !== 'answering') return
    if (this.#reader) this.#reader.onPart(part)
    else this.#early.push(part)
  }

  onResponseEnd(): void {
    if (this.#state !== 'answering') return
    this.#state = 'whole'
    if (this.#left) this.drop(this.line)
    else this.release(this.line)
    this.#reader?.onEnd()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const before = this.#state
    if (before === 'whole' || before === 'broken') return
    const reused = this.line.used
    this.#break()
    if (before === 'waiting') this.#events?.onError(asSystemError(error), reused)
    else this.#reader?.onBroken()
  }

  header(name: string): string | undefined {
    return headerIn(this.rawHeaders, name)
  }

  read(reader: AnswerReader): void {
    this.#reader = reader
    for (const part of this.#early) reader.onPart(part)
    this.#early = []
    if (this.#state === 'whole') reader.onEnd()
    else if (this.#state === 'broken') reader.onBroken()
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  abort(): void {
    if (this.#state === 'whole' || this.#state === 'broken') return
    this.#reader = undefined
    this.#break()
  }

  leave(): boolean {
    const { socket } = this.line
    if (this.#state === 'whole' || this.#state === 'broken') return false
    if (this.#controller === undefined || socket === undefined) {
      this.abort()
      return false
    }
    this.#left = true
    socket.end()
    return true
  }

  #break(): void {
    this.#state = 'broken'
    this.drop(this.line)
  }
}

/** By the names that the system has for them. */
const SYSTEM_CODES: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: 'ECONNRESET',
  UND_ERR_CONNECT_TIMEOUT: 'ETIMEDOUT',
}

function asSystemError(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const code = SYSTEM_CODES[error.code ?? '']
  return code === undefined ? error : Object.assign(new Error(error.message, { cause: error }), { code })
}
