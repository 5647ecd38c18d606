/**
 * Records: the lines of the audit log, as text. A decision line is a superset of OPA's
 * decision-log event, so that tools that read those read these.
 *
 * Recovery looks at how the lines begin (`recover.ts`): event, decision id, and for a request
 * that was refused its outcome.
 */
import type { EpochMs } from '../contract/units.ts'

export interface DecisionRecord {
  readonly id: string
  readonly requestId: string
  /** Of W3C's trace context, where the request was understood so far. */
  readonly traceId?: string | undefined
  readonly at: EpochMs
  readonly path: string
  readonly requestedBy: string
  readonly http: { readonly method: string; readonly path: string; readonly status?: number }
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
  const refused = facts.code === undefined ? '' : ',"outcome":"refused"'
  const code = facts.code === undefined ? '' : `,"code":${JSON.stringify(facts.code)}`
  const error = facts.error === undefined ? '' : `,"error":${JSON.stringify(facts.error)}`
  const grants = facts.grants?.length ? `,"grants":${JSON.stringify(facts.grants)}` : ''
  const bundles =
    facts.revision === null ? '{}' : `{"gateway":{"revision":${JSON.stringify(facts.revision)}}}`
  const trace = facts.traceId === undefined ? '' : `,"trace_id":"${facts.traceId}"`
  const principal = facts.principal === undefined ? '' : `,"principal":${facts.principal}`
  const input = facts.input === undefined ? '' : `,"input":${facts.input}`
  const result = facts.result === undefined ? '' : `,"result":${facts.result}`
  return `{"event":"decision","decision_id":"${facts.id}"${refused}${code}${error},"timestamp":"${iso(facts.at)}","request_id":${JSON.stringify(facts.requestId)}${trace},"path":"${facts.path}","requested_by":${JSON.stringify(facts.requestedBy)},"http":${JSON.stringify(facts.http)}${principal}${input}${result}${grants},"limits":${JSON.stringify(facts.limits)},"labels":${facts.labels},"bundles":${bundles},"metrics":{"timer_policy_eval_ns":${facts.evalNs}},"erased":${JSON.stringify(facts.erased)}}`
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

export function outcomeRecord({ id, at, ...rest }: OutcomeRecord): string {
  return `{"event":"outcome","decision_id":"${id}","timestamp":"${iso(at)}",${JSON.stringify(rest).slice(1)}`
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
