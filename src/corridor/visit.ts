/**
 * A visit: what is known of one request so far. Each verb of the corridor adds a fact; what is
 * missing when it ends tells how far it came.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import type { Rostered } from '../contract/roster.ts'
import type { EpochMs } from '../contract/units.ts'
import { type Price, usedAmounts } from '../limits/amounts.ts'
import type { Reservation, Standing } from '../limits/ledger.ts'
import type { Usage } from '../limits/usage-reader.ts'
import type { Description } from '../policy/describe.ts'
import type { Decided, Revision } from '../policy/revision.ts'
import type { TraceContext } from '../telemetry/trace-context.ts'
import type { Trace } from '../telemetry/tracer.ts'
import type { AbortSignalLike } from '../upstreams/client-left.ts'
import type { Place } from '../upstreams/places.ts'
import type { Pool } from '../upstreams/pools.ts'
import type { StopHandle, StopReason } from '../upstreams/relay.ts'
import type { Target } from '../upstreams/target.ts'

/** Tokens that the server reported or, where it did not, that were counted as they passed. */
export interface MeasuredUsage extends Usage {
  readonly estimated: boolean
}

const NO_USAGE = { inputTokens: 0, outputTokens: 0 }

export class Visit implements AbortSignalLike, StopHandle, Rostered {
  seat: number | undefined
  facts: RequestFacts | undefined
  principal: Principal | undefined
  body: RequestBody | undefined
  described: Description | undefined
  /** Of the body, as it came. */
  bytesIn = 0
  decided: Decided | undefined
  /** Nanoseconds. */
  evalNs = 0
  /** What the policy was shown and what has not ended since. */
  grants: readonly ActiveGrant[] = []
  /** Those without which it would not have been allowed. */
  grounds: readonly ActiveGrant[] = []
  /** What it stood on has ended. */
  endedBy: StopReason | undefined
  reservation: Reservation | undefined
  standings: readonly Standing[] = []
  /** After the policy's rewrite. */
  model: string | null = null
  /** That could serve it, in the order in which they are asked. */
  pools: readonly Pool[] = []
  /** The one that serves it; until then the first that could. */
  pool: Pool | undefined
  target: Target | undefined
  /** How long it waited for a slot, ms. */
  queueMs = 0
  /** The decision line is in the log, so what follows is told in an outcome line. */
  recorded = false
  /** When the first target was asked, on the clock of `began`. */
  sentAt: number | undefined
  firstByteMs: number | null = null
  /** What the answer took, once it is over. */
  usage: MeasuredUsage | undefined
  /** Of the model, where it has one. */
  price: Price | undefined

  /** The trace that the visit is part of, once its head was read. */
  context: TraceContext | undefined
  /** Its spans, where somebody wants them. */
  trace: Trace | undefined

  /** The client has gone. */
  aborted = false
  onAbort: (() => void) | undefined = undefined
  stop: StopHandle['stop'] = undefined

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    /** Equal to the record's `decision_id`. */
    readonly id: string,
    readonly requestId: string,
    /** The instant of the whole request: read once, at the door. */
    readonly now: EpochMs,
    /** On a clock that does not go back, ms. */
    readonly began: number,
    /** The policy of the whole request: read once, at the door. */
    readonly revision: Revision | undefined,
  ) {}

  /** Charges what the answer took in place of what was reserved: once. */
  settle(): void {
    if (this.#settled || !this.reservation) return
    this.#settled = true
    this.reservation.settle(usedAmounts(this.usage ?? NO_USAGE, this.price))
  }

  /** A target is busy with this visit from now on. */
  enter(place: Place): void {
    this.sentAt ??= performance.now()
    this.#place = place
    this.pool = place.pool
    this.target = place.target
  }

  /**
   * It is on record and about to be sent: an answer may take minutes, and what was asked much memory.
   *
   * @param mayAskAgain - The policy may be asked the same at a later moment.
   */
  letGoOfQuestion(mayAskAgain: boolean): void {
    this.body = undefined
    if (!this.described) return
    const { model, stream, estimatedInputTokens, maxOutputTokens } = this.described
    const input = mayAskAgain ? this.described.input : ''
    this.described = {
      input,
      whole: () => input,
      withoutContent: '',
      erased: [],
      model,
      stream,
      estimatedInputTokens,
      maxOutputTokens,
    }
  }

  leaveTarget(): void {
    this.#place?.leave()
  }

  #place: Place | undefined
  #settled = false
}
