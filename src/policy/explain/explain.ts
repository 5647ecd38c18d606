/**
 * Explain: one decision, and the rules that were tried for it: which held, where the others failed and what
 * they saw there, and what would have to be different for a refusal to be none.
 */
import type { Workshop } from '../compile/compile.ts'
import type { Snapshot } from '../compile/source.ts'
import { seenBy } from './failure.ts'
import { type Need, neededFor } from './needed.ts'
import { inOrder } from './order.ts'
import { sentenceOf } from './sentence.ts'
import { createSources, type Sources } from './sources.ts'
import { type Failure, stuckAt, type TraceEvent, type Try, triesIn } from './trace.ts'

export interface Explanation {
  /** What OPA decided; undefined when it has no value. */
  readonly decision: unknown
  readonly rules: readonly RuleOutcome[]
  readonly needed: readonly Needed[]
  /** Of builtins. OPA goes on without a value; the gateway refuses. */
  readonly errors: readonly string[]
}

export interface RuleOutcome {
  /** As in `data.gateway.decision`. */
  readonly name: string
  readonly file: string
  readonly line: number
  /** From its metadata. */
  readonly title?: string
  readonly outcome: boolean
  /** The first expression that was not true. */
  readonly failed?: FailedExpression
}

export interface FailedExpression {
  readonly file: string
  readonly line: number
  readonly expression: string
  readonly values: Readonly<Record<string, unknown>>
  /** What it looked for and did not find. */
  readonly undefined?: readonly string[]
}

export interface Needed {
  readonly rule: string
  readonly file: string
  readonly line: number
  readonly message: string
  readonly expression?: string
  readonly values?: Readonly<Record<string, unknown>>
}

export interface Question {
  readonly entrypoint: string
  /** JSON text. */
  readonly input: string
  readonly nowNs: bigint
  /** The base data, JSON text. */
  readonly dataText: string
}

/** There is a policy and no trace of it. `code` is `no_trace`. */
export class NoTrace extends Error {
  override readonly name = 'NoTrace'
  readonly code = 'no_trace'
}

/** @param show - How a file of the sources is named to people. @throws NoTrace */
export async function explain(
  question: Question,
  workshop: Workshop,
  snapshot: Snapshot,
  show: (file: string) => string,
): Promise<Explanation> {
  const { entrypoint, input, nowNs, dataText } = question
  const { stdout, stderr } = await workshop.trace(entrypoint, input, nowNs)
  const { result, explanation, errors } = readTrace(stdout, stderr)
  const files = new Set(explanation.map(({ Location }) => Location.file).filter(file => !isHelper(file)))
  const text = (name: string): string =>
    snapshot.files.find(file => file.name === name)?.bytes.toString('utf8') ?? ''
  const sources = createSources(await workshop.parse([...files]), text)
  const own = triesIn(explanation, sources.packageOf).filter(({ file }) => !isHelper(file))
  const rule = ['data', ...entrypoint.split('/')].join('.')
  const tries = inOrder(own, rule)
  const documents = { input: JSON.parse(input) as unknown, data: JSON.parse(dataText) as unknown }
  const tell = new Teller(sources, documents, show)
  const decision = result?.[0]?.expressions[0]?.value
  const isAllowed = (decision as { allow?: unknown } | undefined)?.allow === true
  const needed = isAllowed ? [] : neededFor(tries, rule)
  return {
    decision,
    rules: tell.rules(tries),
    needed: needed.map(need => tell.needed(need)).sort(aboutTheInputFirst),
    errors: errors.map(({ message, location }) =>
      location ? `${show(location.file)}:${location.row}: ${message}` : message,
    ),
  }
}

/** What a caller can change comes before what only an author can. */
function aboutTheInputFirst(one: Needed, other: Needed): number {
  const isAbout = ({ values = {} }: Needed): number =>
    Object.keys(values).some(name => /^input\b/.test(name)) ? 0 : 1
  return isAbout(one) - isAbout(other)
}

/** The query itself has no file; what was added for the trace stands outside of the sources. */
function isHelper(file: string): boolean {
  return file === '' || file.endsWith('/trace.rego')
}

interface Evaluation {
  readonly result?: readonly { readonly expressions: readonly { readonly value: unknown }[] }[]
  readonly explanation: readonly TraceEvent[]
  readonly errors: readonly {
    readonly message: string
    readonly location?: { readonly file: string; readonly row: number }
  }[]
}

function readTrace(stdout: string, stderr: string): Evaluation {
  let read: Partial<Evaluation> | undefined
  try {
    read = JSON.parse(stdout) as Partial<Evaluation>
  } catch {
    throw new NoTrace(stderr.trim() || 'opa gave no trace')
  }
  const { explanation, errors = [] } = read
  if (!explanation) throw new NoTrace(errors[0]?.message ?? 'opa gave no trace')
  const located = explanation.map(event => ({
    ...event,
    Location: { ...event.Location, file: event.Location.file.replace(/^(\.?\/)+/, '') },
  }))
  return { ...read, explanation: located, errors }
}

class Teller {
  constructor(
    private readonly sources: Sources,
    private readonly documents: { readonly input: unknown; readonly data: unknown },
    private readonly show: (file: string) => string,
  ) {}

  /** A rule that was tried several times, for other arguments, is told once: it held if it did for any. */
  rules(tries: readonly Try[]): RuleOutcome[] {
    const byPlace = new Map<string, Try[]>()
    for (const rule of tries) {
      const place = `${rule.file}:${rule.line}:${rule.name}`
      byPlace.set(place, [...(byPlace.get(place) ?? []), rule])
    }
    return [...byPlace.values()].map(same => this.rule(same))
  }

  private rule(same: readonly Try[]): RuleOutcome {
    const { name, file, line, title } = same[0] as Try
    const outcome = same.some(({ held }) => held)
    const failure = outcome ? undefined : furthest(same)
    return {
      name,
      file: this.show(file),
      line,
      ...(title === undefined ? {} : { title }),
      outcome,
      ...(failure ? { failed: this.failed(failure) } : {}),
    }
  }

  private failed(failure: Failure): FailedExpression {
    const { file, line, column } = failure
    const seen = seenBy(failure, this.documents)
    return {
      file: this.show(file),
      line,
      expression: this.sources.expressionAt(file, line, column),
      values: seen.values,
      ...(seen.undefined.length > 0 ? { undefined: seen.undefined } : {}),
    }
  }

  needed(need: Need): Needed {
    const { rule, failure } = need
    const failed = failure && this.failed(failure)
    const expression = failed?.expression ?? this.sources.conditionsAt(rule.file, rule.line).join('; ')
    return {
      rule: rule.name,
      file: failed?.file ?? this.show(rule.file),
      line: failed?.line ?? rule.line,
      message: sentenceOf(need, expression, failed?.values ?? {}),
      ...(expression === '' ? {} : { expression }),
      ...(failed ? { values: failed.values } : {}),
    }
  }
}

function furthest(same: readonly Try[]): Failure | undefined {
  let found: Failure | undefined
  for (const rule of same) {
    const failure = stuckAt(rule, query => query === rule.queries[0])
    if (failure && (!found || failure.expression.index > found.expression.index)) found = failure
  }
  return found
}
