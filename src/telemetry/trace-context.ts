/**
 * Trace context: W3C's `traceparent` and `tracestate`, read and written.
 * https://www.w3.org/TR/trace-context/
 */
import { randomFillSync } from 'node:crypto'

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits: the caller's span; undefined where the trace begins here. */
  readonly parentId: string | undefined
  readonly sampled: boolean
  readonly state: string | undefined
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const LONGEST_STATE = 512

/** @returns undefined when there is none, or none that is valid; its state is then nobody's, too. */
export function readTraceContext(parent: string | undefined, state?: string): TraceContext | undefined {
  const [, version, traceId = NO_TRACE, parentId = NO_SPAN, flags = '00', more] =
    TRACEPARENT.exec(parent ?? '') ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined
  return {
    traceId,
    parentId,
    sampled: (Number.parseInt(flags, 16) & 1) === 1,
    state: state !== undefined && state.length <= LONGEST_STATE ? state : undefined,
  }
}

export function newTraceContext(sampled: boolean): TraceContext {
  return { traceId: randomHex(16), parentId: undefined, sampled, state: undefined }
}

export function newSpanId(): string {
  return randomHex(8)
}

export function traceparent({ traceId, sampled }: TraceContext, spanId: string): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

const pool = Buffer.alloc(4096)
let used = pool.length

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}
