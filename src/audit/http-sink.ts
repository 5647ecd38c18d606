/**
 * Uploads records as OPA uploads its decision logs: `POST URL/logs`, a gzipped JSON list. What cannot be
 * delivered waits in a spool on disk and is tried again, later and later; nobody's answer waits for it.
 *
 * Delivery is at least once: a record that is seen twice has the same `chain.seq`.
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Link } from './chain.ts'
import type { Sink } from './log.ts'
import type { Segment, Spool } from './spool.ts'

export interface HttpSinkNeeds {
  readonly spool: Spool
  /** Where lists are posted to. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** How long records are gathered. */
  readonly intervalMs: number
  readonly timeoutMs: number
  /** From 0 to 1, for the jitter of retries. */
  random(): number
  onDelivered(records: number): void
  /** Records that the server will never take, such as one that is too large for it. */
  onDropped(records: number): void
  /** The server answers again, or does not any more. */
  onStateChange(ok: boolean, cause?: unknown): void
}

export interface HttpSink extends Sink {
  append(lines: Buffer, link: Link): void
}

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 60_000
const CLOSING_MS = 2000
const TOO_LARGE = 413

const packed = promisify(gzip)

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly retryAfterMs: number | undefined,
  ) {
    super(`the server answered ${status}`)
  }
}

export function createHttpSink(needs: HttpSinkNeeds): HttpSink {
  const { spool } = needs
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let failures = 0
  let ok = true
  let error: string | null = null
  let closing = false
  const stop = new AbortController()

  function schedule(ms: number): void {
    if (closing || timer || running) return
    timer = setTimeout(() => {
      timer = undefined
      running = deliverAll().finally(() => {
        running = undefined
        if (spool.waiting().records > 0) schedule(failures === 0 ? needs.intervalMs : backOff)
      })
    }, ms).unref()
  }
  let backOff = 0

  async function deliverAll(): Promise<void> {
    for (let segment = spool.next(); segment; segment = spool.next()) {
      try {
        await deliver(segment)
      } catch (cause) {
        spool.kept()
        if (stop.signal.aborted) return
        backOff = delayAfter(cause, failures++)
        tell(false, cause)
        return
      }
      spool.done(segment)
      failures = 0
      tell(true)
    }
  }

  async function deliver(segment: Segment): Promise<void> {
    const lines = linesIn(segment)
    if (lines.length > 0) await post(lines)
  }

  /** A list that is too large for the server is sent in halves. */
  async function post(lines: readonly string[]): Promise<void> {
    try {
      await send(await packed(`[${lines.join(',')}]`))
      needs.onDelivered(lines.length)
    } catch (cause) {
      if (!(cause instanceof Refused) || cause.status !== TOO_LARGE) throw cause
      if (lines.length === 1) return needs.onDropped(1)
      const half = Math.ceil(lines.length / 2)
      await post(lines.slice(0, half))
      await post(lines.slice(half))
    }
  }

  async function send(body: Buffer): Promise<void> {
    const response = await fetch(needs.url, {
      method: 'POST',
      headers: { ...needs.headers, 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: new Uint8Array(body),
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(needs.timeoutMs), stop.signal]),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Refused(response.status, retryAfterOf(response))
  }

  function delayAfter(cause: unknown, before: number): number {
    const asked = cause instanceof Refused ? cause.retryAfterMs : undefined
    const doubled = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(before, 20))
    return Math.min(LAST_RETRY_MS, Math.max(asked ?? 0, doubled / 2 + (doubled / 2) * needs.random()))
  }

  function tell(good: boolean, cause?: unknown): void {
    error = good ? null : reasonOf(cause)
    if (good === ok) return
    ok = good
    needs.onStateChange(good, error)
  }

  return {
    append(lines, link) {
      spool.append(lines, link)
      schedule(needs.intervalMs)
    },
    facts: () => ({ ok, error, waiting: spool.waiting() }),
    /** A last attempt; what it does not deliver is there for the next start. */
    async close() {
      closing = true
      clearTimeout(timer)
      const giveUp = setTimeout(() => stop.abort(), CLOSING_MS)
      await running
      if (failures === 0) await deliverAll()
      clearTimeout(giveUp)
    },
  }
}

/** Another run's segment may have been taken away meanwhile, to make room. */
function linesIn(segment: Segment): string[] {
  try {
    return segment.lines()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function retryAfterOf(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

/** What stands behind a failed fetch says more than it does itself. */
function reasonOf(cause: unknown): string {
  const { message, cause: deeper } = cause as Error & { readonly cause?: NodeJS.ErrnoException }
  return deeper?.code ?? message
}
