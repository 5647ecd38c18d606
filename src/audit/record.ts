/**
 * Records: the lines of the audit log, as text. A decision line is a superset of OPA's
 * decision-log event, so that tools that read those read these.
 *
 * Recovery looks at how the lines begin (`recover.ts`): event, decision id, and for a request
 * that was refused its outcome.
 */
import { quote } from '../contract/quote.ts'
import type { EpochMs } from '../contract/units.ts'

export interface DecisionRecord {
  readonly id: string
  readonly requestId: string
  /** Of W3C's trace context, where the request was understood so far. */
  readonly traceId?: string | undefined
  readonly at: EpochMs
  readonly path: string
  readonly requestedBy: string
  readonly http: { readonly method: string; readonly path: string; readonly status?: number | undefined }
  readonly revision: string | null
  /** JSON texts. */
  readonly labels: string
  readonly input?: string | undefined
  readonly result?: string | undefined
  readonly principal?: string | undefined
  readonly erased: readonly string[]
  readonly limits: readonly LimitFacts[]
  readonly evalNs: number
  /** Why it was refused; absent when it was let through. */
  readonly code?: string | undefined
  /** For the operator: what lay behind a refusal that is not the policy's own. */
  readonly error?: string | undefined
  /** Those that it stands on. */
  readonly grants?: readonly GrantRecord[] | undefined
}

export interface GrantRecord {
  readonly id: string
  readonly emergency: boolean
}

export interface LimitFacts {
  readonly name: string
  readonly key: string
  readonly unit: string
  readonly limit: number
  readonly remaining: number
}

export function decisionRecord(facts: DecisionRecord): string {
  const refused = facts.code === undefined ? '' : `,"outcome":"refused","code":${quote(facts.code)}`
  const error = facts.error === undefined ? '' : `,"error":${quote(facts.error)}`
  const bundles = facts.revision === null ? '{}' : `{"gateway":{"revision":${quote(facts.revision)}}}`
  const trace = facts.traceId === undefined ? '' : `,"trace_id":"${facts.traceId}"`
  const { method, path, status } = facts.http
  const http = `{"method":${quote(method)},"path":${quote(path)}${member('status', status)}}`
  return `{"event":"decision","decision_id":"${facts.id}"${refused}${error},"timestamp":"${iso(facts.at)}","request_id":${quote(facts.requestId)}${trace},"path":"${facts.path}","requested_by":${quote(facts.requestedBy)},"http":${http}${member('principal', facts.principal)}${member('input', facts.input)}${member('result', facts.result)}${grantsMember(facts.grants)},"limits":[${limitsText(facts.limits)}],"labels":${facts.labels},"bundles":${bundles},"metrics":{"timer_policy_eval_ns":${facts.evalNs}},"erased":[${facts.erased.map(quote).join()}]}`
}

/** @param json - Undefined: there is none. */
function member(name: string, json: string | number | boolean | undefined): string {
  return json === undefined ? '' : `,"${name}":${json}`
}

function textMember(name: string, text: string | undefined): string {
  return text === undefined ? '' : `,"${name}":${quote(text)}`
}

function grantsMember(grants: readonly GrantRecord[] | undefined): string {
  return grants && grants.length > 0 ? `,"grants":${JSON.stringify(grants)}` : ''
}

function limitsText(limits: readonly LimitFacts[]): string {
  let text = ''
  for (const { name, key, unit, limit, remaining } of limits)
    text += `${text && ','}{"name":${quote(name)},"key":${quote(key)},"unit":"${unit}","limit":${limit},"remaining":${remaining}}`
  return text
}

export type Outcome =
  | 'completed'
  | 'refused'
  | 'client_closed'
  | 'expired'
  | 'revoked'
  | 'upstream_failed'
  | 'drained'
  | 'interrupted'

export interface OutcomeRecord {
  readonly id: string
  readonly at: EpochMs
  readonly outcome: Outcome
  readonly http?: { readonly status: number; readonly bytes_in: number; readonly bytes_out: number }
  readonly pool?: string | undefined
  readonly target?: string | undefined
  readonly usage?: UsageFacts | undefined
  /** Milliseconds. */
  readonly timings?: Readonly<Record<'decide' | 'queue' | 'first_byte' | 'total', number | null>>
  readonly response?: string | undefined
  readonly grants?: readonly GrantRecord[] | undefined
  readonly code?: string | undefined
  readonly error?: string | undefined
}

export interface UsageFacts {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: number
  readonly estimated: boolean
}

export function outcomeRecord(facts: OutcomeRecord): string {
  const { http, usage, timings } = facts
  const carried =
    http && `{"status":${http.status},"bytes_in":${http.bytes_in},"bytes_out":${http.bytes_out}}`
  const used =
    usage &&
    `{"input_tokens":${usage.input_tokens},"output_tokens":${usage.output_tokens},"cost":${usage.cost},"estimated":${usage.estimated}}`
  const timed =
    timings &&
    `{"decide":${timings.decide},"queue":${timings.queue},"first_byte":${timings.first_byte},"total":${timings.total}}`
  return `{"event":"outcome","decision_id":"${facts.id}","timestamp":"${iso(facts.at)}","outcome":"${facts.outcome}"${member('http', carried)}${textMember('pool', facts.pool)}${textMember('target', facts.target)}${member('usage', used)}${member('timings', timed)}${textMember('code', facts.code)}${textMember('error', facts.error)}${textMember('response', facts.response)}${grantsMember(facts.grants)}}`
}

/** Anything else that belongs in the chain: `gateway.started`, `policy.activated`, … */
export function eventRecord(event: string, at: EpochMs, facts: object = {}): string {
  const rest = JSON.stringify(facts)
  return `{"event":"${event}","timestamp":"${iso(at)}"${rest === '{}' ? '' : `,${rest.slice(1, -1)}`}}`
}

/** Many records share a millisecond. */
let latest = { at: -1, text: '' }

function iso(at: EpochMs): string {
  if (latest.at !== at) latest = { at, text: new Date(at).toISOString() }
  return latest.text
}
