/**
 * An OTLP receiver over HTTP, as a collector is one: takes `POST /v1/traces` in JSON, and refuses what the
 * protocol does not allow.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly status: { readonly code?: number }
  /** By key, without its type. */
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface OtlpReceiver {
  readonly url: string
  readonly headers: Record<string, unknown>[]
  readonly service: () => unknown
  spans(): readonly ReceivedSpan[]
  /** Answers the next so many requests with this status. */
  failNext(count: number, status: number): void
  close(): Promise<void>
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const headers: Record<string, unknown>[] = []
  let service: unknown
  let failing = { count: 0, status: 0 }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    headers.push(request.headers)
    if (failing.count > 0) {
      failing.count--
      response.writeHead(failing.status).end()
      return
    }
    if (request.url !== '/v1/traces' || request.headers['content-type'] !== 'application/json') {
      response.writeHead(400).end()
      return
    }
    for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
      service = valuesOf(resource.attributes)['service.name']
      for (const scope of scopeSpans) for (const span of scope.spans) spans.push(checked(span))
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    headers,
    service: () => service,
    spans: () => spans,
    failNext(count, status) {
      failing = { count, status }
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function checked(span: ReceivedSpan & { attributes: readonly KeyValue[] }): ReceivedSpan {
  const { traceId, spanId, startTimeUnixNano, endTimeUnixNano, kind, name } = span
  const good =
    /^[0-9a-f]{32}$/.test(traceId) &&
    /^[0-9a-f]{16}$/.test(spanId) &&
    /^\d{19}$/.test(startTimeUnixNano) &&
    BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano) &&
    [1, 2, 3].includes(kind) &&
    typeof name === 'string'
  if (!good) throw new Error(`no span of OTLP: ${JSON.stringify(span)}`)
  return { ...span, attributes: valuesOf(span.attributes) }
}

function valuesOf(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      const [type, plain] = Object.entries(value)[0] ?? []
      if (!['stringValue', 'boolValue', 'intValue', 'doubleValue', 'arrayValue'].includes(type ?? ''))
        throw new Error(`no value of OTLP: ${JSON.stringify(value)}`)
      return [key, type === 'intValue' ? Number(plain) : plain]
    }),
  )
}
