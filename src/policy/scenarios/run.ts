/**
 * Runs scenarios: each question is put to the compiled policy, as the gateway would.
 *
 * The input is written by the same function that serves, and the answer is checked against the same schema.
 */
import { GatewayError } from '../../contract/errors.ts'
import type { Finding } from '../../contract/findings.ts'
import type { PoolFacts } from '../../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../../contract/request.ts'
import type { ScenarioRequest } from '../../contract/scenario.schema.ts'
import type { Bundle } from '../bundles/bundle.ts'
import type { TestResult } from '../compile/opa-output.ts'
import { describe } from '../describe.ts'
import { createEngine } from '../engine/engine.ts'
import { EngineError } from '../engine/engine-error.ts'
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
  /** What was asked where the policy said something else than was expected, by result. */
  readonly unmet?: ReadonlyMap<TestResult, Asked>
}

export interface Asked {
  /** JSON text. */
  readonly input: string
  readonly nowNs: bigint
  /** Whether the policy's data was as it stands in its folder. */
  readonly ownData: boolean
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
    const unmet = new Map<TestResult, Asked>()
    const results = read
      .flatMap(({ questions }) => questions)
      .filter(({ name }) => wanted(name))
      .map(question => {
        const { message, asked } = answerTo(question, revisions, policy, needs)
        const { name, file, line } = question
        const outcome = message === '' ? 'pass' : 'fail'
        const result: TestResult = { name, kind: 'scenario', file, line, outcome, message }
        if (asked) unmet.set(result, asked)
        return result
      })
    return { results, unmet, findings: [...findings, ...read.flatMap(({ findings }) => findings)] }
  } finally {
    revisions.close()
  }
}

/** @returns No message when the policy says what was expected. */
function answerTo(
  question: Question,
  revisions: Revisions,
  policy: ScenarioPolicy,
  needs: ScenarioNeeds,
): { message: string; asked?: Asked } {
  const { expect, data } = question
  if (!expect) return { message: 'nothing is expected here: give it an expectation, or one for "*"' }
  const nowNs = BigInt(question.at) * 1_000_000n
  try {
    const input = inputOf(question, policy.revision, needs)
    const { decision, text } = revisions.over(data).decide(input, { nowNs, seed: REQUEST_ID })
    const unmet = differences(expect, decision)
    if (unmet.length === 0) return { message: '' }
    const asked = { input, nowNs, ownData: Object.keys(data ?? {}).length === 0 }
    return { message: `${unmet.join('\n')}\nthe decision: ${text}`, asked }
  } catch (error) {
    if (error instanceof EngineError) return { message: `${error.code}: ${error.message}` }
    if (!(error instanceof GatewayError)) throw error
    const { status, code, message } = error
    return { message: `there is no decision; the gateway would refuse with ${status} ${code}: ${message}` }
  }
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
