/**
 * Adds to scenarios that fail the rules that led to the decision, from OPA's own trace.
 */
import path from 'node:path'
import type { Workshop } from '../policy/compile/compile.ts'
import type { TestResult } from '../policy/compile/opa-output.ts'
import type { Snapshot } from '../policy/compile/source.ts'
import { explain, NoTrace } from '../policy/explain/explain.ts'
import type { Asked, ScenarioRun } from '../policy/scenarios/run.ts'

export interface Traced {
  readonly workshop: Workshop
  readonly snapshot: Snapshot
  readonly entrypoint: string
  /** The base data, JSON text. */
  readonly dataText: string
  /** How the policy's folder is written. */
  readonly shown: string
}

/** Each takes an `opa` of its own; where everything fails, the first tell enough. */
const MOST_TRACED = 10

export async function withRules(
  { results, unmet, findings }: ScenarioRun,
  policy: Traced,
): Promise<ScenarioRun> {
  const messages = new Map<TestResult, string>()
  for (const [result, asked] of unmet ?? []) {
    // A trace is of the data that stands in the folder.
    if (!asked.ownData || messages.size >= MOST_TRACED) continue
    messages.set(result, [result.message, ...(await rulesThatHeld(asked, policy))].join('\n'))
  }
  return {
    results: results.map(result => ({ ...result, message: messages.get(result) ?? result.message })),
    findings,
  }
}

async function rulesThatHeld({ input, nowNs }: Asked, policy: Traced): Promise<string[]> {
  const { workshop, snapshot, entrypoint, dataText, shown } = policy
  try {
    const question = { entrypoint, input, nowNs, dataText }
    const { rules } = await explain(question, workshop, snapshot, file => path.join(shown, file))
    return rules
      .filter(({ outcome }) => outcome)
      .map(({ file, line, name }) => `${file}:${line}: ${name} is true`)
  } catch (error) {
    if (error instanceof NoTrace) return []
    throw error
  }
}
