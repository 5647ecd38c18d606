/**
 * Runs scenarios: each question is put to the compiled policy, as the gateway would.
 *
 * The input is written by the same function that serves, and the answer is checked against the same schema.
 */
import type { Decision } from '../../contract/decision.schema.ts'
import { GatewayError } from '../../contract/errors.ts'
import type { Finding } from '../../contract/findings.ts'
import type { PoolFacts } from '../../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../../contract/request.ts'
import type { ScenarioRequest } from '../../contract/scenario.schema.ts'
import type { Bundle } from '../bundle.ts'
import { describe } from '../describe.ts'
import { createEngine } from '../engine.ts'
import { EngineError } from '../engine-error.ts'
import type { TestResult } from '../opa-output.ts'
import { createRevision, type Revision } from '../revision.ts'
import { differences } from './differences.ts'
import { type Question, questionsIn } from './questions.ts'
import { readScenarios } from './read.ts'

export interface ScenarioNeeds {
  /** As the gateway has them. The policy sees them at rest: whether a test passes is no matter of load. */
  pools(): Readonly<Record<string, PoolFacts>>
  /** What the gateway makes of a request. @throws GatewayError when it would refuse it before the policy */
  readRequest(request: ImaginedRequest): { request: RequestFacts; body: RequestBody | undefined }
}

/** A request that never came over a socket. */
export interface ImaginedRequest {
  readonly method: string
  /** The path and the query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface ScenarioPolicy {
  readonly bundle: Pick<Bundle, 'wasm' | 'dataText'>
  readonly revision: string
  readonly entrypoint: string
  readonly builtinErrors: 'refuse' | 'undefined'
  readonly maxMemoryBytes: number
}

export interface ScenarioRun {
  readonly results: readonly TestResult[]
  readonly findings: readonly Finding[]
}

export interface ScenarioText {
  /** As people write it. */
  readonly shown: string
  readonly text: string
}

/** @param wanted - Which of them, by name. */
export function runScenarios(
  files: readonly ScenarioText[],
  policy: ScenarioPolicy,
  needs: ScenarioNeeds,
  wanted: (name: string) => boolean = () => true,
): ScenarioRun {
  const { scenarios, findings } = readScenarios(files)
  const read = scenarios.map(questionsIn)
  const revisions = createRevisions(policy)
  try {
    const results = read
      .flatMap(({ questions }) => questions)
      .filter(({ name }) => wanted(name))
      .map(question => resultOf(question, revisions, policy, needs))
    return { results, findings: [...findings, ...read.flatMap(({ findings }) => findings)] }
  } finally {
    revisions.close()
  }
}

function resultOf(
  question: Question,
  revisions: Revisions,
  policy: ScenarioPolicy,
  needs: ScenarioNeeds,
): TestResult {
  const message = failureOf(question, revisions, policy, needs)
  const { name, file, line } = question
  return { name, kind: 'scenario', file, line, outcome: message === '' ? 'pass' : 'fail', message }
}

/** @returns Nothing when the policy says what was expected. */
function failureOf(
  question: Question,
  revisions: Revisions,
  policy: ScenarioPolicy,
  needs: ScenarioNeeds,
): string {
  const { expect } = question
  if (!expect) return 'nothing is expected here: give it an expectation, or one for "*"'
  let decision: Decision
  let text: string
  try {
    ;({ decision, text } = revisions.over(question.data).decide(inputOf(question, policy.revision, needs), {
      nowNs: BigInt(question.at) * 1_000_000n,
      seed: REQUEST_ID,
    }))
  } catch (error) {
    if (error instanceof EngineError) return `${error.code}: ${error.message}`
    if (!(error instanceof GatewayError)) throw error
    return `there is no decision; the gateway would refuse with ${error.status} ${error.code}: ${error.message}`
  }
  const unmet = differences(expect, decision)
  return unmet.length === 0 ? '' : `${unmet.join('\n')}\nthe decision: ${text}`
}

function atRest(pools: Readonly<Record<string, PoolFacts>>): Record<string, PoolFacts> {
  const rested = Object.entries(pools).map(([name, { models, targets }]): [string, PoolFacts] => [
    name,
    { models, healthy: targets, targets, in_flight: 0, queued: 0 },
  ])
  return Object.fromEntries(rested)
}

/** What the gateway would ask. @throws GatewayError when it would refuse the request before that */
export function inputOf(question: Question, revision: string, needs: ScenarioNeeds): string {
  return describe({
    id: REQUEST_ID,
    ...needs.readRequest(imagine(question.request)),
    principal: question.principal,
    grants: question.grants,
    pools: atRest(needs.pools()),
    revision,
    policyAgeSeconds: 0,
    now: question.at,
  }).input
}

const REQUEST_ID = '01SCENARI00000000000000000'

function imagine({ model, method, path, headers = {}, body }: ScenarioRequest): ImaginedRequest {
  const content = bodyOf(model, body)
  const text = content === undefined ? undefined : JSON.stringify(content)
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const framing =
    text === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }
  return {
    method: method ?? (text === undefined ? 'GET' : 'POST'),
    target: path ?? '/v1/chat/completions',
    headers: { host: 'localhost', ...framing, ...lower },
    body: text,
  }
}

function bodyOf(model: string | undefined, body: unknown): unknown {
  if (model === undefined) return body
  if (body === undefined) return { model, messages: [] }
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...body, model } : body
}

interface Revisions {
  /** The policy with other data over its own; the same data is loaded once. */
  over(data: readonly Readonly<Record<string, unknown>>[]): Revision
  close(): void
}

function createRevisions({
  bundle,
  revision,
  entrypoint,
  builtinErrors,
  maxMemoryBytes,
}: ScenarioPolicy): Revisions {
  const made = new Map<string, Revision>()
  function make(dataText: string): Revision {
    const engine = createEngine({
      wasm: bundle.wasm,
      dataText,
      builtinErrors,
      maxMemoryBytes,
      maxEvaluationMs: MOST_MS,
    })
    return createRevision(revision, engine, entrypoint)
  }
  return {
    over(data) {
      const key = JSON.stringify(data)
      const known = made.get(key)
      if (known) return known
      const text =
        data.length === 0
          ? bundle.dataText
          : JSON.stringify(data.reduce<unknown>(merged, JSON.parse(bundle.dataText)))
      const revision = make(text)
      made.set(key, revision)
      return revision
    },
    close() {
      for (const revision of made.values()) revision.close()
    },
  }
}

/** A policy that does not come to an end must not take its tests with it. */
const MOST_MS = 5000

/** Objects are merged, everything else is replaced. */
function merged(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const known = Object.hasOwn(base, key) ? base[key] : undefined
    Object.defineProperty(result, key, {
      value: merged(known, value),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return result
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
