/**
 * What a primary and its workers say to each other: each message by its name.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { CandidateStatus, LimitStanding, PoolStatus, SecondCounts, SinkState } from '../contract/seen.ts'
import type { EpochMs } from '../contract/units.ts'

/** What a worker is asked; each is answered. */
export interface WorkerAnswers {
  /** Opens its gateway, and takes requests. @returns The port. */
  begin(order: Beginning): Promise<number>
  /** Has decided by it from the answer on. */
  hold(policy: HandedPolicy): void
  configure(config: GatewayConfig): void
  status(): WorkerStatus
  /** In the exposition format of Prometheus. */
  metrics(): Promise<string>
  limits(): Promise<readonly LimitStanding[]>
  /** Records of decisions and outcomes from this number on. */
  decisions(from: number): { readonly records: readonly string[]; readonly next: number }
  /** Of seconds from this one on that are over. */
  seconds(from: number): readonly SecondCounts[]
  /** What the policy named lately for a principal. */
  named(principal: string): Named | undefined
  /** Another one changed this request for access. */
  look(id: string): Promise<void>
  /** Gives back slots that nothing runs on. @returns How many. */
  recall(order: Recall): number
  /** @returns When nothing runs, and all is on record. */
  stop(order: { readonly hurry: boolean }): Promise<void>
}

/** What a worker is told. */
export interface WorkerNotices {
  /** So many slots of a target are its own now. */
  allowed(allowance: { readonly url: string; readonly slots: number }): void
  /** Nobody else waits for these any more. */
  keep(target: { readonly url: string }): void
  elsewhere(load: Load): void
  /** When the policy's source was last seen to be what is in force. */
  confirmed(at: EpochMs): void
}

/** What a primary is asked; each is answered. */
export interface PrimaryAnswers {
  /** Slots of these targets are wanted. @returns When others have given what they can spare. */
  seek(urls: readonly string[]): Promise<void>
  /** What the policy named lately for a principal, at each of the others. */
  named(principal: string): Promise<readonly Named[]>
  /** A request for access was changed. @returns When all others know. */
  changed(id: string): Promise<void>
  /** @returns Seconds to wait, after too many. */
  attempt(attempt: Attempt): Promise<number | undefined>
}

/** What a primary is told. */
export interface PrimaryNotices {
  /** It listens to what it is asked and told, from now on. */
  up(): void
  /** So many slots are given back. */
  gave(back: { readonly url: string; readonly slots: number }): void
  /** Nobody waits for these any more. */
  rest(urls: readonly string[]): void
  load(load: Load & Checks): void
}

export interface Beginning {
  readonly config: GatewayConfig
  /** How many workers there are to be. */
  readonly workers: number
  readonly stateFolder: string
  readonly port: number
  readonly policy: HandedPolicy | undefined
  readonly candidate: HandedPolicy | undefined
  readonly confirmedAt: EpochMs | undefined
  /** By target. */
  readonly slots: Readonly<Record<string, number>>
}

/** A policy that was built, tried and put in force by the primary. */
export interface HandedPolicy {
  readonly role: 'policy' | 'candidate'
  readonly id: string
  readonly wasm: Uint8Array
  /** JSON text. */
  readonly dataText: string
  /** What of the input it looks at, as its bundle says. */
  readonly reads: unknown
  readonly confirmedAt: EpochMs | undefined
}

export interface Recall {
  readonly url: string
  /** What is above it is given back as it comes free, even if somebody waits here. */
  readonly fair: number
}

export interface Attempt {
  readonly counter: string
  readonly limit: number
  readonly windowMs: number
  readonly group: string
  /** Else it is only looked at. */
  readonly counts: boolean
}

/** Limits, as a revision named them. */
export interface Named {
  readonly revision: string
  readonly claims: readonly object[]
}

/** What runs and waits, by target and by pool. */
export interface Load {
  readonly inFlight: Readonly<Record<string, number>>
  readonly queued: Readonly<Record<string, number>>
}

export interface Checks {
  readonly checks: { readonly audit: boolean; readonly targets: boolean; readonly store: boolean }
}

export interface WorkerStatus {
  readonly revision: string | null
  readonly pools: Readonly<Record<string, PoolStatus>>
  readonly store: object & { readonly engine: string; readonly ok: boolean }
  readonly audit: {
    readonly ok: boolean
    readonly seq: number
    readonly lost: number
    readonly sinks: readonly SinkState[]
  }
  readonly candidate: CandidateStatus | undefined
}
