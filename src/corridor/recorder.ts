/**
 * Recorder: what is written and counted of a visit, and when.
 */
import type { AuditLog } from '../audit/log.ts'
import {
  decisionRecord,
  type GrantRecord,
  type LimitFacts,
  type Outcome,
  outcomeRecord,
} from '../audit/record.ts'
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { AuditContent } from '../contract/decision.schema.ts'
import type { Operation } from '../contract/input.schema.ts'
import type { UsageBook } from '../contract/usage.ts'
import { costOf } from '../limits/amounts.ts'
import type { Standing } from '../limits/ledger.ts'
import { dayOf } from '../limits/usage-report.ts'
import { principalText } from '../policy/input-texts.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { Masking } from './masking.ts'
import type { Refusal } from './refusal.ts'
import { endCall, finishTrace, providerOf } from './traced.ts'
import type { Visit } from './visit.ts'

export interface Recorder {
  /** Before anything is forwarded, or any refusal is answered. @throws GatewayError `audit_unavailable` */
  decision(visit: Visit, refusal?: Refusal): Promise<void>
  /** Before the last byte of an answer. @throws GatewayError `audit_unavailable` */
  outcome(visit: Visit, ending: Ending): Promise<void>
  /** Counts the request, once it is over. @param status - What is told to the caller, unless it was already. */
  count(visit: Visit, outcome: Outcome, code: string, status?: number): void
}

export interface Ending {
  readonly outcome: Outcome
  readonly status: number
  readonly bytesOut: number
  readonly refusal?: Refusal | undefined
  /** What was answered, where the policy wants it kept. */
  readonly response?: string | undefined
}

export interface RecorderNeeds {
  readonly audit: AuditLog
  readonly masking: Masking
  readonly metrics: Metrics
  /** Who is to be billed for what. */
  readonly usage: Pick<UsageBook, 'add'>
  readonly log: OperatorLog
  readonly entrypoint: string
  readonly labels: Readonly<Record<string, string>>
  now(): number
  defaultContent(): AuditContent
}

export function createRecorder({
  audit,
  masking,
  metrics,
  usage: book,
  log,
  entrypoint,
  labels,
  now,
  defaultContent,
}: RecorderNeeds): Recorder {
  const ownLabels = JSON.stringify(labels)

  function labelsText(further: Readonly<Record<string, string>> | undefined): string {
    return further ? JSON.stringify({ ...labels, ...further }) : ownLabels
  }

  function decision(visit: Visit, refusal?: Refusal): Promise<void> {
    const { facts, described, decided, request } = visit
    const status = refusal?.told.status
    const whole = contentOf(visit, defaultContent()) !== 'none'
    return audit.write(
      decisionRecord({
        id: visit.id,
        requestId: visit.requestId,
        traceId: visit.context?.traceId,
        at: visit.now,
        path: entrypoint,
        requestedBy: facts?.clientIp ?? request.socket.remoteAddress ?? '',
        http: {
          method: request.method ?? '',
          // What was not understood is told as it came, but for the query, which may hold anything.
          path: facts?.path ?? (request.url ?? '').split('?', 1)[0]?.slice(0, 1024) ?? '',
          status,
        },
        revision: visit.revision?.id ?? null,
        labels: labelsText(decided?.decision.audit?.labels),
        input: whole ? described?.whole() : described?.withoutContent,
        result: decided?.text,
        principal: visit.principal && principalText(visit.principal),
        erased: whole ? [] : (described?.erased ?? []),
        limits: visit.standings.map(limitFacts),
        evalNs: visit.evalNs,
        code: refusal?.told.code,
        error: refusal?.error,
        grants: visit.grounds.map(grantRecord),
      }),
      masking.maskerFor(visit),
    )
  }

  function outcome(visit: Visit, ending: Ending): Promise<void> {
    const { refusal } = ending
    const { usage, price } = visit
    const total = performance.now() - visit.began
    enter(visit)
    const error = ending.outcome === 'completed' ? undefined : (refusal?.told.code ?? ending.outcome)
    endCall(visit, ending.status, error)
    if (usage && visit.principal)
      metrics.tokens(visit.principal.id, visit.model, usage.inputTokens, usage.outputTokens)
    if (visit.target && CALLS_A_MODEL.has(visit.facts?.operation ?? 'other')) {
      metrics.operation({
        operation: visit.facts?.operation ?? 'other',
        provider: providerOf(visit),
        model: visit.model,
        seconds: (performance.now() - (visit.sentAt ?? visit.began)) / 1000,
        error,
        usage: usage?.estimated === false ? usage : undefined,
      })
    }
    return audit.write(
      outcomeRecord({
        id: visit.id,
        at: now(),
        outcome: ending.outcome,
        http: { status: ending.status, bytes_in: visit.bytesIn, bytes_out: ending.bytesOut },
        pool: visit.pool?.name,
        target: visit.target?.state.url,
        usage: usage && {
          input_tokens: usage.inputTokens,
          output_tokens: usage.outputTokens,
          cost: costOf(usage, price),
          estimated: usage.estimated,
        },
        timings: {
          decide: rounded(visit.evalNs / 1e6),
          queue: rounded(visit.queueMs),
          first_byte: visit.firstByteMs === null ? null : rounded(visit.firstByteMs),
          total: rounded(total),
        },
        code: refusal?.told.code,
        error: refusal?.error,
        response: ending.response,
        grants: visit.grounds.length > 0 ? visit.grounds.map(grantRecord) : undefined,
      }),
      ending.response === undefined ? undefined : masking.maskerFor(visit),
    )
  }

  /** What was sent to a target, on the day that it came in. */
  function enter({ principal, pool, model, usage, price, now: at }: Visit): void {
    if (!principal || !pool) return
    book.add([
      {
        day: dayOf(at),
        principal: principal.id,
        team: principal.team,
        model,
        requests: 1,
        input_tokens: usage?.inputTokens ?? 0,
        output_tokens: usage?.outputTokens ?? 0,
        cost: usage ? costOf(usage, price) : 0,
      },
    ])
  }

  return {
    decision,
    outcome,
    count(visit, outcome, code, status = visit.response.statusCode) {
      const seconds = (performance.now() - visit.began) / 1000
      const { principal, pool, model } = visit
      log.debug?.('request', { decision_id: visit.id, outcome, code, ms: rounded(seconds * 1000) })
      finishTrace(visit, outcome, code, status)
      metrics.request({ principal: principal?.id, pool: pool?.name, model, outcome, code, seconds })
    },
  }
}

/** Those that OpenTelemetry has names for. */
const CALLS_A_MODEL: ReadonlySet<Operation> = new Set(['chat', 'completion', 'embedding'])

/** The decision may say otherwise than the config. */
export function contentOf(visit: Visit, byDefault: AuditContent): AuditContent {
  return visit.decided?.decision.audit?.content ?? byDefault
}

function grantRecord({ facts }: ActiveGrant): GrantRecord {
  return { id: facts.id, emergency: facts.emergency === true }
}

function limitFacts({ claim, remaining }: Standing): LimitFacts {
  const { name, key, unit, limit } = claim
  return { name, key, unit, limit, remaining }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
