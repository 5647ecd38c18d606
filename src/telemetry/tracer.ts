/**
 * Tracer: what a request did and when, as spans. A request that is not sampled has no trace at all, and costs
 * nothing.
 */
import { newSpanId, newTraceContext, type TraceContext } from './trace-context.ts'

export type AttributeValue = string | number | boolean | readonly string[]
/** What is undefined or null is left out. */
export type Attributes = Readonly<Record<string, AttributeValue | null | undefined>>

export interface Span {
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client'
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly state: string | undefined
  /** Milliseconds since the epoch, with a fraction. */
  readonly start: number
  end: number
  attributes: Attributes
  failed: boolean
}

export interface Trace {
  /** Of what follows until the next, or the end. @returns the id of the span. */
  begin(name: string, kind?: 'internal' | 'client'): string
  /** Ends what was begun last. */
  end(attributes?: Attributes, failed?: boolean): void
  /** The request is over. */
  finish(name: string, attributes: Attributes, failed: boolean): void
}

export interface Tracer {
  /** @returns the context that a request goes on with: its own, or a new one. */
  contextOf(given: TraceContext | undefined): TraceContext
  /** @returns undefined when nobody wants it. */
  trace(context: TraceContext): Trace | undefined
}

export interface TracerNeeds {
  /** From 0 to 1: of the traces that begin here. */
  readonly ratio: number
  random(): number
  /** Milliseconds since the epoch, with a fraction, on a clock that does not go back. */
  now(): number
  export(spans: readonly Span[]): void
}

/** Where nothing is exported, a trace that begins here is for those behind us to keep or not. */
export const NO_TRACER: Tracer = {
  contextOf: given => given ?? newTraceContext(true),
  trace: () => undefined,
}

export function createTracer({ ratio, random, now, export: hand }: TracerNeeds): Tracer {
  function trace(context: TraceContext): Trace {
    const startedAt = now()
    const { traceId, parentId, state } = context
    const rootId = newSpanId()
    const spans: Span[] = []
    let open: Span | undefined

    function end(attributes: Attributes = {}, failed = false): void {
      if (!open) return
      open.end = now()
      open.attributes = attributes
      open.failed = failed
      open = undefined
    }

    return {
      begin(name, kind = 'internal') {
        // A call that is followed by another one did not answer.
        end({}, open?.kind === 'client')
        const start = now()
        open = {
          ...{ name, kind, traceId, spanId: newSpanId(), parentId: rootId, state },
          ...{ start, end: start, attributes: {}, failed: false },
        }
        spans.push(open)
        return open.spanId
      },
      end,
      finish(name, attributes, failed) {
        // What was begun and not ended is where it went wrong.
        end({}, failed)
        const root = { name, kind: 'server', traceId, spanId: rootId, parentId, state } as const
        hand([{ ...root, start: startedAt, end: now(), attributes, failed }, ...spans])
      },
    }
  }

  return {
    contextOf: given => given ?? newTraceContext(random() < ratio),
    trace: context => (context.sampled ? trace(context) : undefined),
  }
}
