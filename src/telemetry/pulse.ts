/**
 * Pulse: what happened in each of the last seconds, for those who look on: a page, a terminal.
 */
import type { PulseRates, PulseSecond, SecondCounts } from '../contract/seen.ts'

export interface Pulse {
  request(facts: { readonly outcome: string; readonly seconds: number }): void
  tokens(input: number, output: number): void
  snapshot(): PulseSnapshot
  /** Seconds from this one on that are over, and in which something happened. */
  counts(from: number): readonly SecondCounts[]
  /** Adds what happened elsewhere, as `counts` tells it. */
  add(counts: SecondCounts): void
  /** @param listener - Told each second that is over. @returns what ends it. */
  follow(listener: (second: PulseSecond & { readonly last: PulseRates }) => void): () => void
}

export interface PulseSnapshot {
  /** The oldest first, up to the last second that is over. */
  readonly seconds: readonly PulseSecond[]
  readonly last: PulseRates
}

export interface PulseNeeds {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls each second, until what it returns is called. */
  everySecond(tick: () => void): () => void
}

const KEPT_SECONDS = 300
const WINDOW_SECONDS = 10
/** Latencies are told apart by a fifth: from 0.05 ms to beyond an hour. */
const STEPS = 100
const FIRST_MS = 0.05
const LOG_STEP = Math.log(1.2)

class Second {
  at = -1
  requests = 0
  refused = 0
  failed = 0
  inputTokens = 0
  outputTokens = 0
  readonly latencies = new Uint32Array(STEPS)

  begin(at: number): void {
    this.at = at
    this.requests = this.refused = this.failed = this.inputTokens = this.outputTokens = 0
    this.latencies.fill(0)
  }
}

export function createPulse({ now, everySecond }: PulseNeeds): Pulse {
  const ring = Array.from({ length: KEPT_SECONDS + 1 }, () => new Second())
  const listeners = new Set<(second: PulseSecond & { readonly last: PulseRates }) => void>()
  let stop: (() => void) | undefined

  const at = (): number => Math.floor(now() / 1000)

  function current(): Second {
    const second = at()
    const slot = slotOf(second)
    if (slot.at !== second) slot.begin(second)
    return slot
  }

  function slotOf(second: number): Second {
    return ring[second % ring.length] as Second
  }

  /** Those that are over, the oldest first; a second in which nothing happened is one all the same. */
  function last(count: number): Second[] {
    const until = at()
    return Array.from({ length: count }, (_, index) => {
      const second = until - count + index
      const slot = slotOf(second)
      if (slot.at === second) return slot
      const empty = new Second()
      empty.at = second
      return empty
    })
  }

  function rates(): PulseRates {
    const seconds = last(WINDOW_SECONDS)
    const per = (pick: (second: Second) => number): number =>
      Math.round((seconds.reduce((sum, second) => sum + pick(second), 0) / WINDOW_SECONDS) * 10) / 10
    return {
      window_seconds: WINDOW_SECONDS,
      requests_per_second: per(second => second.requests),
      refusals_per_second: per(second => second.refused),
      failures_per_second: per(second => second.failed),
      input_tokens_per_second: per(second => second.inputTokens),
      output_tokens_per_second: per(second => second.outputTokens),
      ...quantiles(seconds),
    }
  }

  function tick(): void {
    const told = { ...shown(last(1)[0] as Second), last: rates() }
    for (const listener of listeners) listener(told)
  }

  return {
    request({ outcome, seconds }) {
      const second = current()
      second.requests++
      if (outcome === 'refused') second.refused++
      else if (outcome === 'upstream_failed') second.failed++
      const step = Math.floor(Math.log((seconds * 1000) / FIRST_MS) / LOG_STEP)
      const index = Math.min(STEPS - 1, Math.max(0, step))
      second.latencies[index] = (second.latencies[index] as number) + 1
    },
    tokens(input, output) {
      const second = current()
      second.inputTokens += input
      second.outputTokens += output
    },
    counts: from =>
      last(Math.min(KEPT_SECONDS, Math.max(0, at() - from)))
        .filter(({ requests, inputTokens, outputTokens }) => requests + inputTokens + outputTokens > 0)
        .map(second => ({ ...second, latencies: second.latencies.slice() })),
    add(counts) {
      if (at() - counts.at > KEPT_SECONDS) return
      const second = slotOf(counts.at)
      if (second.at !== counts.at) second.begin(counts.at)
      second.requests += counts.requests
      second.refused += counts.refused
      second.failed += counts.failed
      second.inputTokens += counts.inputTokens
      second.outputTokens += counts.outputTokens
      for (let step = 0; step < STEPS; step++)
        second.latencies[step] = (second.latencies[step] as number) + (counts.latencies[step] ?? 0)
    },
    snapshot: () => ({ seconds: last(KEPT_SECONDS).map(shown), last: rates() }),
    follow(listener) {
      listeners.add(listener)
      stop ??= everySecond(tick)
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        stop?.()
        stop = undefined
      }
    },
  }
}

function shown(second: Second): PulseSecond {
  const { at, requests, refused, failed, inputTokens, outputTokens } = second
  return {
    at,
    requests,
    refused,
    failed,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    ...quantiles([second]),
  }
}

function quantiles(seconds: readonly Second[]): { p50_ms: number | null; p99_ms: number | null } {
  const counts = new Array<number>(STEPS).fill(0)
  let total = 0
  for (const { latencies } of seconds) {
    for (let index = 0; index < STEPS; index++) {
      const count = latencies[index] as number
      counts[index] = (counts[index] as number) + count
      total += count
    }
  }
  return { p50_ms: quantile(counts, total, 0.5), p99_ms: quantile(counts, total, 0.99) }
}

/** The upper end of the step that holds it. */
function quantile(counts: readonly number[], total: number, share: number): number | null {
  let seen = 0
  for (let index = 0; index < counts.length; index++) {
    seen += counts[index] as number
    if (total > 0 && seen >= total * share)
      return Math.round(FIRST_MS * Math.exp((index + 1) * LOG_STEP) * 100) / 100
  }
  return null
}
