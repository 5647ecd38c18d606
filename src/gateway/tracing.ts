/**
 * Tracing: spans to where the config says, or nowhere.
 */
import type { TelemetryConfig } from '../contract/config/telemetry.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import { createOtlpExporter } from '../telemetry/otlp.ts'
import { createTracer, NO_TRACER, type Tracer } from '../telemetry/tracer.ts'
import { VERSION } from '../version.ts'

export interface Tracing {
  readonly tracer: Tracer
  close(): Promise<void>
}

const ANSWER_MS = 10_000

export interface TracingNeeds {
  readonly log: OperatorLog
  readonly metrics: Metrics
  /** Milliseconds since the epoch, on a clock that does not go back. */
  now(): number
  random(): number
}

export function openTracing({ otlp, serviceName }: TelemetryConfig, needs: TracingNeeds): Tracing {
  if (otlp === undefined) return { tracer: NO_TRACER, close: async () => {} }
  const { url, headers = {}, ratio = 1 } = typeof otlp === 'string' ? { url: otlp } : otlp
  const { log, metrics, now, random } = needs
  const exporter = createOtlpExporter({
    url,
    headers,
    serviceName,
    version: VERSION,
    async send(to, headers, body) {
      const response = await fetch(to, {
        method: 'POST',
        headers,
        body,
        signal: AbortSignal.timeout(ANSWER_MS),
        redirect: 'error',
      })
      await response.arrayBuffer()
      return response.status
    },
    later: (ms, work) => void setTimeout(work, ms).unref(),
    onSpans: metrics.spans,
    onStateChange: (ok, cause) =>
      ok ? log.info('traces_recovered') : log.warn('traces_not_exported', { message: cause }),
  })
  return { tracer: createTracer({ ratio, random, now, export: exporter.export }), close: exporter.close }
}
