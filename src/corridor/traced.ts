/**
 * Traced: what is told of a visit in its spans, in OpenTelemetry's words. No content, no credential.
 */
import type { Outcome } from '../audit/record.ts'
import { newSpanId, readTraceContext, traceparent } from '../telemetry/trace-context.ts'
import type { Attributes, Tracer } from '../telemetry/tracer.ts'
import type { UpstreamTrace } from '../upstreams/upstream-headers.ts'
import type { Visit } from './visit.ts'

/** What kind of server answers: OpenTelemetry's name of it, or its own. */
export function providerOf({ target }: Visit): string {
  return target?.kind ?? 'openai'
}

/** A visit goes on with the trace that its caller is in. */
export function beginTrace(visit: Visit, { contextOf, trace }: Tracer): void {
  const headers = visit.facts?.headers
  const given = headers && readTraceContext(headers.get('traceparent'), headers.get('tracestate'))
  visit.context = contextOf(given)
  visit.trace = trace(visit.context)
}

/** Each call of a target is a span of its own, and the parent of what the target does. */
export function callTrace(visit: Visit): UpstreamTrace | undefined {
  const { context, trace } = visit
  if (!context) return undefined
  const spanId = trace?.begin(`${operationOf(visit)} ${visit.model ?? ''}`.trim(), 'client') ?? newSpanId()
  return { parent: traceparent(context, spanId), state: context.state }
}

export function endCall(visit: Visit, status: number | undefined, error: string | undefined): void {
  const { trace, target, usage, model, described } = visit
  if (!trace) return
  const address = target?.url
  trace.end(
    {
      'gen_ai.operation.name': operationOf(visit),
      'gen_ai.provider.name': providerOf(visit),
      'gen_ai.request.model': model,
      'gen_ai.request.max_tokens': described?.maxOutputTokens,
      'gen_ai.usage.input_tokens': usage?.inputTokens,
      'gen_ai.usage.output_tokens': usage?.outputTokens,
      'server.address': address?.hostname,
      'server.port': address && Number(address.port || (address.protocol === 'https:' ? 443 : 80)),
      'http.response.status_code': status,
      'error.type': error,
    },
    error !== undefined,
  )
}

export function decided({ decided, revision }: Visit): Attributes {
  return {
    'sallyport.allow': decided?.decision.allow,
    'sallyport.rule': decided?.decision.rule,
    'sallyport.revision': revision?.id,
  }
}

/** The span of the whole request, which hands them all on. */
export function finishTrace(visit: Visit, outcome: Outcome, code: string, status: number): void {
  const { trace, facts, principal } = visit
  if (!trace) return
  trace.finish(
    `${visit.request.method} ${facts?.operation ?? 'other'}`,
    {
      'http.request.method': visit.request.method,
      'http.response.status_code': status,
      'url.path': facts?.path,
      'url.scheme': facts?.tls ? 'https' : 'http',
      'client.address': facts?.clientIp,
      'user.id': principal?.id,
      'sallyport.decision_id': visit.id,
      'sallyport.outcome': outcome,
      'sallyport.pool': visit.pool?.name,
      'error.type': code === 'ok' ? undefined : code,
    },
    status >= 500 || outcome === 'upstream_failed',
  )
  visit.trace = undefined
}

const OPERATIONS: Readonly<Record<string, string>> = {
  completion: 'text_completion',
  embedding: 'embeddings',
}

function operationOf({ facts }: Visit): string {
  const operation = facts?.operation ?? 'other'
  return OPERATIONS[operation] ?? operation
}
