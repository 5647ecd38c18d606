/**
 * A remote bundle: what a server of OPA's bundle protocol holds, as far as it is known here.
 *
 * It is asked with the `ETag` of what is held, and may wait with its answer until there is something new
 * (long polling). A server that does not wait is asked every few seconds; one that fails, less and less
 * often. Only snapshots: OPA leaves deltas unsigned.
 */
import type { EpochMs } from '../../contract/units.ts'
import { type BundleRequest, type BundleResponse, BundleUnavailable } from './request.ts'

export interface RemoteBundle {
  /** What the server holds. @throws BundleUnavailable when it was last asked in vain. */
  look(): FetchedBundle
  /** Asks now. Never rejects. */
  ask(): Promise<void>
  /** Goes on asking until it is closed; `notice` after each answer and each first failure. */
  follow(notice: () => void): void
  close(): void
}

export interface FetchedBundle {
  readonly archive: Uint8Array
  readonly etag: string | undefined
  /** When the server last said that it is this. */
  readonly confirmedAt: EpochMs
}

export interface RemoteBundleNeeds {
  request(request: BundleRequest): Promise<BundleResponse>
  now(): EpochMs
  /** From 0 to 1. */
  random(): number
  /** Resolves after so many milliseconds, or as soon as the signal is given. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** What was kept of an earlier run. */
  readonly known: FetchedBundle | undefined
}

/** How long a server may wait for something new, s. Below what proxies on the way allow. */
const LONG_POLL_S = 30
/** How long it may take to answer at once, download included. */
const ANSWER_MS = 30_000
/** And while somebody waits: at the start of a gateway there may be a last good bundle to go on with. */
const PROMPT_ANSWER_MS = 10_000
/** Between two questions to a server that does not wait. */
const POLL_MS = 3000
const BACK_OFF_MS = { least: 500, most: 60_000 }

type Outcome = 'answered' | 'failed'

export function createRemoteBundle(needs: RemoteBundleNeeds): RemoteBundle {
  const { request, now, random, sleep } = needs
  const closing = new AbortController()
  let held = needs.known
  let failure: BundleUnavailable | undefined = new BundleUnavailable('not asked yet')
  let failures = 0
  let asked = 0
  let answered = 0

  async function ask(longPoll: boolean): Promise<Outcome> {
    const turn = ++asked
    const known = held
    try {
      const response = await answerInTime(known, longPoll)
      // Of two questions at a time the later one knows better.
      if (turn > answered) take(response, known)
      answered = Math.max(answered, turn)
      return 'answered'
    } catch (cause) {
      if (turn < answered) return 'answered'
      failure = cause instanceof BundleUnavailable ? cause : new BundleUnavailable(String(cause), { cause })
      failures++
      return 'failed'
    }
  }

  async function answerInTime(known: FetchedBundle | undefined, longPoll: boolean): Promise<BundleResponse> {
    const waits = longPoll && known?.etag !== undefined
    const done = new AbortController()
    const tooLate = new AbortController()
    const limit = longPoll ? ANSWER_MS + (waits ? LONG_POLL_S * 1000 : 0) : PROMPT_ANSWER_MS
    void sleep(limit, done.signal).then(() => tooLate.abort())
    try {
      return await request({
        headers: {
          prefer: `modes=snapshot${waits ? `;wait=${LONG_POLL_S}` : ''}`,
          ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
        },
        signal: AbortSignal.any([closing.signal, tooLate.signal]),
      })
    } finally {
      done.abort()
    }
  }

  function take({ status, etag, archive }: BundleResponse, known: FetchedBundle | undefined): void {
    const confirmedAt = now()
    if (status === 304 && known) held = { ...known, confirmedAt }
    else if (status === 200 && archive) held = { archive, etag, confirmedAt }
    else throw new BundleUnavailable(`the server answered ${status}`)
    failure = undefined
    failures = 0
  }

  async function askForEver(notice: () => void): Promise<void> {
    if (failures > 0) await sleep(pauseAfter('failed', 0), closing.signal)
    while (!closing.signal.aborted) {
      const began = now()
      const outcome = await ask(true)
      if (closing.signal.aborted) return
      notice()
      await sleep(pauseAfter(outcome, now() - began), closing.signal)
    }
  }

  /** With jitter, so that many gateways do not ask at the same time. */
  function pauseAfter(outcome: Outcome, tookMs: number): number {
    // One that waited is asked again at once; one that did not, not sooner than every few seconds.
    if (outcome === 'answered') return Math.max(0, POLL_MS * (0.5 + random()) - tookMs)
    const ceiling = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.least * 2 ** failures)
    return ceiling / 2 + (ceiling / 2) * random()
  }

  return {
    look() {
      if (failure) throw failure
      return held as FetchedBundle
    },
    ask: async () => void (await ask(false)),
    follow: notice => void askForEver(notice),
    close: () => closing.abort(),
  }
}
