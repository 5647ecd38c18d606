/**
 * `explain`: what a policy decides of one request, and why.
 */

import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { GatewayError } from '../contract/errors.ts'
import { openWorkshop } from '../policy/compile/compile.ts'
import { findOpa, OpaUnavailable } from '../policy/compile/opa-command.ts'
import { type Explanation, explain as explainDecision, NoTrace } from '../policy/explain/explain.ts'
import { configFor } from './config.ts'
import { printExplanation } from './explain-report.ts'
import { type RecordedDecision, readSubject, type Subject } from './explain-subject.ts'
import { type Format, printJson } from './output.ts'
import { type OpenPolicy, openPolicy } from './policy.ts'

export interface ExplainOptions {
  readonly config: string
  readonly format: Format
  /** Instead of the config's. */
  readonly policy?: string
  /** Which record of a log. */
  readonly decision?: string
}

export interface Explained {
  /** Null where there is none: `error` says why. */
  readonly decision: unknown
  readonly revision: string
  readonly rules: Explanation['rules']
  readonly needed: Explanation['needed']
  readonly error: { readonly code: string; readonly message: string } | null
  /** The input document that was decided; null where the policy was not asked. */
  readonly input: unknown
  readonly recorded: Compared | null
  /** What is not in the record though the policy may look at it: what is said here may not be what was. */
  readonly masked: readonly string[]
  readonly notes: readonly string[]
}

export interface Compared {
  readonly decision_id: string
  readonly revision: string | null
  readonly decision: unknown
  /** Whether the same would be decided. */
  readonly same: boolean
}

export async function explain(file: string, options: ExplainOptions): Promise<void> {
  const config = configFor(options.config, options.format)
  const policy = await openPolicy(config, options.policy)
  try {
    const subject = await readSubject(file, options.decision, {
      config,
      revision: policy.revision.id,
      now: Date.now,
    })
    const explained = await explanationOf(subject, policy)
    if (options.format === 'json') printJson(explained)
    else printExplanation(explained)
  } finally {
    policy.close()
  }
}

async function explanationOf(subject: Subject, policy: OpenPolicy): Promise<Explained> {
  const { recorded, input } = subject
  const revision = policy.revision.id
  const notes: string[] = []
  if (recorded && recorded.revision !== null && recorded.revision !== revision)
    notes.push(`The record is of revision ${recorded.revision}; this is what ${revision} decides.`)
  if (input === undefined) {
    const code = recorded?.code ?? 'unknown'
    const message = 'The policy was not asked: the request was refused before.'
    const error = { code, message: recorded?.error ? `${message} ${recorded.error}` : message }
    return { ...NOTHING, revision, error, recorded: compared(recorded, null), notes }
  }
  const { decision, error } = decide(input, subject, policy)
  const masked = maskedIn(recorded, policy)
  if (masked.length > 0)
    notes.push(
      `The policy may look at what is not in the record: ${masked.join(', ')}. What it decided then may have been something else.`,
    )
  const trace = await traced(input, subject, policy, notes)
  if (trace) {
    for (const failed of trace.errors) notes.push(`A builtin failed: ${failed}`)
    if (error === null && !isDeepStrictEqual(trace.decision, decision))
      notes.push(
        `The rules below are of opa, which decides otherwise: ${JSON.stringify(trace.decision ?? null)}`,
      )
  }
  return {
    decision,
    revision,
    rules: trace?.rules ?? [],
    needed: trace?.needed ?? [],
    error,
    input: JSON.parse(input) as unknown,
    recorded: compared(recorded, decision),
    masked,
    notes,
  }
}

const NOTHING = { decision: null, rules: [], needed: [], input: null, masked: [] }

function decide(
  input: string,
  { nowNs, seed }: Subject,
  { revision }: OpenPolicy,
): Pick<Explained, 'decision' | 'error'> {
  try {
    return { decision: JSON.parse(revision.decide(input, { nowNs, seed }).text), error: null }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { decision: null, error: { code: error.code, message: error.message } }
  }
}

function compared(recorded: RecordedDecision | undefined, decision: unknown): Compared | null {
  if (!recorded) return null
  const { decisionId, revision, result } = recorded
  return { decision_id: decisionId, revision, decision: result, same: isDeepStrictEqual(result, decision) }
}

function maskedIn(recorded: RecordedDecision | undefined, { reads }: OpenPolicy): string[] {
  return recorded?.erased.filter(pointer => reads.mayDependOn(pointer)) ?? []
}

/** Undefined, with a note why, where there is no trace. */
async function traced(
  input: string,
  { nowNs }: Subject,
  { sources, entrypoint, bundle, shown }: OpenPolicy,
  notes: string[],
): Promise<Explanation | undefined> {
  const opa = findOpa()
  if (!opa || !sources) {
    const lacking = sources ? 'opa' : 'the sources of the policy'
    notes.push(`Which rules were tried cannot be told: that needs ${lacking}.`)
    return undefined
  }
  const workshop = await openWorkshop(sources, opa, shown)
  try {
    const question = { entrypoint, input, nowNs, dataText: bundle.dataText }
    return await explainDecision(question, workshop, sources, file => path.join(shown, file))
  } catch (error) {
    // Such as a trace that is longer than can be read.
    if (!(error instanceof NoTrace) && !(error instanceof OpaUnavailable)) throw error
    notes.push(`Which rules were tried cannot be told: ${error.message}`)
    return undefined
  } finally {
    workshop.close()
  }
}
