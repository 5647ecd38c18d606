/**
 * OTLP: spans to a receiver, as JSON over HTTP, in batches, bounded, off the path of any request.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import type { Attributes, AttributeValue, Span } from './tracer.ts'

export interface SpanExporter {
  export(spans: readonly Span[]): void
  /** Sends what waits, within a moment. */
  close(): Promise<void>
}

export interface OtlpNeeds {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly serviceName: string
  readonly version: string
  /** Resolves with the status of the answer. */
  send(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<number>
  /** Calls once, after so many ms. */
  later(ms: number, work: () => void): void
  onSpans(count: number, outcome: 'exported' | 'dropped'): void
  onStateChange(ok: boolean, cause?: string): void
}

const MOST_WAITING = 4096
const MOST_IN_BATCH = 512
const EVERY_MS = 1000
/** What a receiver may say that will pass. */
const WILL_PASS = new Set([429, 502, 503, 504])
const MOST_TRIES = 4

export function createOtlpExporter(needs: OtlpNeeds): SpanExporter {
  const url = /\/v1\/traces\/?$/.test(needs.url) ? needs.url : `${needs.url.replace(/\/+$/, '')}/v1/traces`
  const headers = { ...needs.headers, 'content-type': 'application/json' }
  let waiting: Span[] = []
  let timed = false
  let sending: Promise<void> | undefined
  let ok = true

  async function sendAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_IN_BATCH)
      waiting = waiting.slice(MOST_IN_BATCH)
      const trouble = await sendBatch(batch)
      needs.onSpans(batch.length, trouble === undefined ? 'exported' : 'dropped')
      if ((trouble === undefined) === ok) continue
      ok = !ok
      needs.onStateChange(ok, trouble)
    }
  }

  /** @returns what went wrong, if anything. */
  async function sendBatch(batch: readonly Span[]): Promise<string | undefined> {
    const body = JSON.stringify(payload(batch, needs))
    let trouble = ''
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      try {
        const status = await needs.send(url, headers, body)
        if (status < 300) return undefined
        trouble = `the receiver answered ${status}`
        if (!WILL_PASS.has(status)) return trouble
      } catch (error) {
        trouble = (error as Error).message
      }
      if (tries < MOST_TRIES)
        await new Promise<void>(resolve => needs.later(EVERY_MS * 2 ** (tries - 1), resolve))
    }
    return trouble
  }

  function flush(): Promise<void> {
    timed = false
    sending ??= sendAll().finally(() => {
      sending = undefined
    })
    return sending
  }

  return {
    export(spans) {
      if (waiting.length + spans.length > MOST_WAITING) return needs.onSpans(spans.length, 'dropped')
      waiting.push(...spans)
      if (timed || sending) return
      timed = true
      needs.later(EVERY_MS, () => void flush())
    },
    close: () =>
      Promise.race([flush().then(flush), new Promise<void>(resolve => needs.later(EVERY_MS, resolve))]),
  }
}

function payload(spans: readonly Span[], { serviceName, version }: OtlpNeeds): object {
  const resource = {
    'service.name': serviceName,
    'service.version': version,
    'telemetry.sdk.language': 'nodejs',
  }
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'sallyport', version }, spans: spans.map(spanOf) }],
      },
    ],
  }
}

const KINDS = { internal: 1, server: 2, client: 3 } as const

function spanOf({
  name,
  kind,
  traceId,
  spanId,
  parentId,
  state,
  start,
  end,
  attributes,
  failed,
}: Span): object {
  return {
    traceId,
    spanId,
    ...(parentId === undefined ? {} : { parentSpanId: parentId }),
    ...(state === undefined ? {} : { traceState: state }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: attributesOf(attributes),
    status: failed ? { code: 2 } : {},
  }
}

/** A number of that many digits is none in JSON: the protocol wants text. */
function nanoseconds(ms: number): string {
  const whole = Math.floor(ms)
  return `${BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6))}`
}

function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined || value === null ? [] : [{ key, value: typed(value) }],
  )
}

function typed(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { arrayValue: { values: value.map(typed) } }
}
