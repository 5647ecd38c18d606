/**
 * What is seen of a running gateway: `/status` and what moves, as the gateway tells it and the page and the
 * terminal show it. Types alone, so that the page can be built with them.
 */

export interface Status {
  readonly version: string
  readonly uptime_seconds: number
  readonly policy: PolicyStatus & { readonly candidate?: CandidateStatus }
  readonly pools: Readonly<Record<string, PoolStatus>>
  readonly store: { readonly engine: string; readonly ok: boolean }
  readonly access: { readonly active: number; readonly pending: number }
  readonly audit: AuditState
  /** Where several serve together. */
  readonly workers?: readonly WorkerState[]
}

/** One of several that serve together. */
export interface WorkerState {
  /** From 1; one that replaces another has its number. */
  readonly id: number
  readonly pid: number
  /** Takes requests. */
  readonly ready: boolean
  /** What it decides by. */
  readonly revision: string | null
  readonly restarts: number
}

export interface PolicyStatus {
  readonly revision: string | null
  readonly activated_at: string | null
  /** When a change was last seen, whatever became of it. */
  readonly changed_at: string | null
  readonly checked_at: string | null
  /** When the source was last known to be what is in force: `policy.age_seconds` counts from here. */
  readonly confirmed_at: string | null
  /** The revision that an operator took out of force, until the source changes again. */
  readonly rolled_back_from: string | null
  /** What `rollback` could put in force, the latest first. */
  readonly held: readonly string[]
  /** The latest first, ten at most. */
  readonly attempts: readonly Attempt[]
}

export interface Attempt {
  readonly at: string
  readonly outcome: 'activated' | 'refused'
  readonly revision: string | null
  readonly steps: readonly Step[]
  readonly diagnostics: readonly Diagnostic[]
  /** Not from the source, which could not be put in force at the start. */
  readonly from?: 'last_good'
}

export interface Step {
  readonly name: string
  readonly ms: number
}

/** A finding, as far as it is told. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly message: string
  readonly file: string
  /** From 1; 0 when the whole file is meant. */
  readonly line: number
  readonly column: number
}

export interface CandidateStatus {
  readonly revision: string | null
  readonly decided: number
  readonly flips: number
  /** What asking it costs, µs a request. */
  readonly mean_us: number | null
  /** The latest first. */
  readonly examples: readonly Flip[]
}

export interface Flip {
  readonly decision_id: string
  readonly at: string
  readonly principal: string
  readonly model: string | null
  readonly in_force: Verdict
  readonly candidate: Verdict
}

/** What a caller would notice of a decision. */
export interface Verdict {
  readonly allow: boolean
  readonly status: number | null
  readonly code: string | null
  readonly rule: string | null
}

export interface PoolStatus {
  readonly models: readonly string[]
  /** How many requests wait for a target. */
  readonly queued: number
  readonly targets: readonly TargetStatus[]
}

export interface TargetStatus {
  readonly url: string
  readonly kind: string
  readonly healthy: boolean
  readonly in_flight: number
  /** Null where there is no limit. */
  readonly slots: number | null
  readonly weight: number
  /** In a row. */
  readonly failures: number
  readonly breaker: 'closed' | 'open' | 'half_open'
  readonly first_byte_ms: number | null
  /** What its own metrics say, where they are read and fresh. */
  readonly told?: {
    /** Requests that are not of this gateway. */
    readonly foreign: number
    readonly loaded: readonly string[] | null
    readonly cache_use: number | null
  }
}

export interface AuditState {
  /** Whether every sink that decides takes records. */
  readonly ok: boolean
  /** Of the first sink's chain. */
  readonly seq: number
  /** Records that were answered for without being written (`onFailure: "allow"`). */
  readonly lost: number
  readonly sinks: readonly SinkState[]
}

export interface SinkState {
  readonly type: string
  readonly name: string
  readonly ok: boolean
  readonly seq: number
  /** Records that it could not take. */
  readonly failed: number
  /** Further facts of its own. */
  readonly [fact: string]: unknown
}

export interface PulseSecond {
  /** Seconds since the epoch. */
  readonly at: number
  readonly requests: number
  readonly refused: number
  readonly failed: number
  readonly input_tokens: number
  readonly output_tokens: number
  /** Of all requests that ended in it, in ms; null where none did. */
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

/** A second as it is counted, so that those of several can be added up. */
export interface SecondCounts {
  readonly at: number
  readonly requests: number
  readonly refused: number
  readonly failed: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** How many requests took how long, by steps of latency. */
  readonly latencies: Uint32Array
}

/** Over the last ten seconds. */
export interface PulseRates {
  readonly window_seconds: number
  readonly requests_per_second: number
  readonly refusals_per_second: number
  readonly failures_per_second: number
  readonly input_tokens_per_second: number
  readonly output_tokens_per_second: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
}

/** How a limit stands that the policy named lately. */
export interface LimitStanding {
  readonly name: string
  readonly key: string
  readonly unit: string
  readonly limit: number
  readonly remaining: number
  /** From 0 to 1. */
  readonly used: number
  readonly observe: boolean
  readonly resets_at: string | null
}
