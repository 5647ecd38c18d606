/**
 * A revision: one policy, compiled and loaded, that can be asked.
 *
 * Answers are checked against the decision schema. The same answer is common, so a text that was
 * read and checked once is remembered; and so is the answer to an input, where it depends on nothing else.
 */
import { type Decision, decisionSchema } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import { compileSchema } from '../contract/schema.ts'
import { createDecisionCache, WatchedInstant } from './decision-cache.ts'
import type { Engine, Instant } from './engine/engine.ts'
import { EngineError } from './engine/engine-error.ts'
import { READS_ANYTHING, type Reads } from './reads.ts'

export interface Decided {
  readonly decision: Decision
  /** The decision as the policy gave it, JSON text. */
  readonly text: string
}

export interface Revision {
  readonly id: string
  /** What of the input a decision can depend on. */
  readonly reads: Reads
  /**
   * @param inputText - The input document, JSON text.
   * @throws GatewayError `policy_error`: undefined, of the wrong shape, or the engine failed.
   */
  decide(inputText: string, instant: Instant): Decided
  /** What it can be asked, such as `gateway/decision`. */
  readonly entrypoints: readonly string[]
  /** The base data document, JSON text. */
  readonly dataText: string
  /** Whether the policy answers a further question, such as `gateway/access`. */
  offers(entrypoint: string): boolean
  /**
   * Asks a further question.
   * @param inputText - The input document, JSON text; undefined for none.
   * @returns The answer, JSON text; undefined where the policy has none.
   * @throws GatewayError `policy_error`: the engine failed.
   */
  ask(entrypoint: string, inputText: string | undefined, instant: Instant): string | undefined
  close(): void
}

/** The policy has no answer to this input. To a caller it is as any other `policy_error`. */
export class UndefinedDecision extends GatewayError {
  constructor() {
    super('policy_error', 'the decision is undefined')
  }
}

const validate = compileSchema(decisionSchema)
const MOST_REMEMBERED = 1000

export interface RevisionFacts {
  /** What of the input the policy can look at; anything unless told. */
  readonly reads?: Reads
  /** The base data document, JSON text. */
  readonly dataText?: string
}

export function createRevision(
  id: string,
  engine: Engine,
  entrypoint: string,
  { reads = READS_ANYTHING, dataText = '{}' }: RevisionFacts = {},
): Revision {
  const cache = createDecisionCache(reads)
  const remembered = new Map<string, Decided>()

  function decide(inputText: string, instant: Instant): Decided {
    const known = cache?.get(inputText)
    if (known) return known
    const watched = new WatchedInstant(instant)
    const decided = evaluated(inputText, watched)
    if (!watched.wasLookedAt) cache?.put(inputText, decided)
    return decided
  }

  function evaluated(inputText: string, instant: Instant): Decided {
    const text = ask(entrypoint, inputText, instant)
    if (text === undefined) throw new UndefinedDecision()
    const known = remembered.get(text)
    if (known) return known
    const decided = { decision: checked(text), text }
    if (remembered.size >= MOST_REMEMBERED) remembered.clear()
    remembered.set(text, decided)
    return decided
  }

  const offers = (asked: string): boolean => engine.entrypoints.includes(asked)

  function ask(asked: string, inputText: string | undefined, instant: Instant): string | undefined {
    if (!offers(asked)) return undefined
    try {
      return engine.evaluate(asked, inputText, instant)
    } catch (cause) {
      const what = cause instanceof EngineError ? cause.code : 'engine fault'
      throw new GatewayError('policy_error', `${what}: ${(cause as Error).message}`, { cause })
    }
  }

  const { entrypoints } = engine
  return { id, reads, entrypoints, dataText, decide, offers, ask, close: () => engine.close() }
}

function checked(text: string): Decision {
  const value = JSON.parse(text) as Decision
  const [problem] = validate(value)
  if (!problem) return value
  const extra = problem.params.additionalProperty
  const detail = extra === undefined ? problem.message : `unknown key ${JSON.stringify(extra)}`
  throw new GatewayError(
    'policy_error',
    `the decision has the wrong shape: ${problem.pointer || '/'} ${detail}`,
  )
}
