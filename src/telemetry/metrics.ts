/**
 * Metrics, by the names of the contract.
 *
 * Every label is a closed set: a model that no pool serves is `other`, and nothing that a caller
 * without a credential can choose becomes a label.
 */
import { boundedNames } from './bounded-names.ts'
import { createInstruments, type Instruments, type MetricFamily } from './instruments.ts'

export interface RequestFacts {
  /** Undefined where nobody was identified. */
  readonly principal: string | undefined
  readonly pool: string | undefined
  readonly model: string | null
  readonly outcome: string
  /** A refusal code, or `ok`. */
  readonly code: string
  readonly seconds: number
}

/** A call to a model, in the words of OpenTelemetry's conventions for generative AI. */
export interface OperationFacts {
  readonly operation: string
  readonly provider: string
  readonly model: string | null
  /** From the call to the end of its answer. */
  readonly seconds: number
  /** What went wrong, if anything. */
  readonly error: string | undefined
  /** As the server reported it. */
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | undefined
}

export interface Metrics extends Pick<Instruments, 'families' | 'text' | 'contentType'> {
  request(facts: RequestFacts): void
  decision(rule: string | undefined, allow: boolean, seconds: number): void
  limitRefusal(name: string): void
  /** A decision that the engine gave up; its instance was replaced where that was needed. */
  engineFault(code: string): void
  tokens(principal: string, model: string | null, input: number, output: number): void
  firstToken(operation: string, provider: string, model: string | null, seconds: number): void
  /** Until the first byte of any answer of a target. */
  firstByte(pool: string, seconds: number): void
  operation(facts: OperationFacts): void
  reload(outcome: 'activated' | 'refused' | 'rolled_back'): void
  /** A decision that the candidate would have made otherwise. */
  flip(): void
  policy(revision: string): void
  /** A request was sent to another target. */
  retry(pool: string, why: string): void
  store(engine: string, ok: boolean): void
  /** How limits are enforced: with the store, by this gateway alone, or not at all. */
  storeMode(mode: 'shared' | 'local' | 'refusing'): void
  auditRecords(sink: string, count: number, outcome: 'written' | 'failed' | 'dropped'): void
  /** Spans of traces. */
  spans(count: number, outcome: 'exported' | 'dropped'): void
}

/** Where several workers serve, counted by their primary. */
export const WORKER_RESTARTS: MetricFamily = {
  name: 'sallyport_worker_restarts_total',
  type: 'counter',
  labels: ['worker'],
  help: 'Workers that ended unasked and were replaced, by their number (only with `serve --workers`)',
}

export interface MetricsNeeds {
  /** The models that pools serve: the only ones that become labels. */
  models(): readonly string[]
  targets(): readonly TargetGauges[]
  queues(): readonly { readonly pool: string; readonly depth: number }[]
  /** Grants that are in force. */
  grants(): number | Promise<number>
  /** Of each limit, by name, the largest share that anybody has used of it. */
  limitsUsed(): ReadonlyMap<string, number> | Promise<ReadonlyMap<string, number>>
}

export interface TargetGauges {
  readonly pool: string
  /** Its URL, without credentials. */
  readonly target: string
  readonly up: boolean
  readonly inFlight: number
  /** Undefined where there is no limit. */
  readonly slots: number | undefined
  readonly breakerOpen: boolean
}

/** From a refusal of half a millisecond to a stream of five minutes. */
const REQUEST_BUCKETS = [
  0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 300, 600,
]
const DECISION_BUCKETS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.1,
]
/** What OpenTelemetry advises, and two more for streams of minutes. */
const OPERATION_BUCKETS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
]
const TOKEN_BUCKETS = Array.from({ length: 14 }, (_, power) => 4 ** power)
const FIRST_TOKEN_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
]

export function createMetrics(needs: MetricsNeeds): Metrics {
  const instruments = createInstruments()
  const { counter, histogram, gauge, reading } = instruments

  const requests = counter('sallyport_requests_total', 'Requests, by how they ended', [
    'pool',
    'model',
    'outcome',
    'code',
  ])
  const principalRequests = counter(
    'sallyport_principal_requests_total',
    'Requests, by who sent them and how they ended',
    ['principal', 'outcome'],
  )
  const duration = histogram(
    'sallyport_request_duration_seconds',
    'From the head of a request to the end of its answer',
    ['outcome'],
    REQUEST_BUCKETS,
  )
  const firstByte = histogram(
    'sallyport_first_byte_duration_seconds',
    'From the head of a request to the first byte of the answer of a target',
    ['pool'],
    REQUEST_BUCKETS,
  )
  const decisionDuration = histogram(
    'sallyport_decision_duration_seconds',
    'Evaluation of the policy',
    [],
    DECISION_BUCKETS,
  )
  const asked = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model']
  const operations = histogram(
    'gen_ai_client_operation_duration',
    'Seconds from a call to a model to the end of its answer',
    [...asked, 'error_type'],
    OPERATION_BUCKETS,
  )
  const usage = histogram(
    'gen_ai_client_token_usage',
    'Tokens of a call to a model, as its server reported them',
    [...asked, 'gen_ai_token_type'],
    TOKEN_BUCKETS,
  )
  const firstToken = histogram(
    'gen_ai_server_time_to_first_token',
    'Seconds until the first byte of a streamed answer',
    asked,
    FIRST_TOKEN_BUCKETS,
  )
  const decisions = counter('sallyport_decisions_total', 'Decisions of the policy', ['rule', 'allow'])
  const limitRefusals = counter('sallyport_limit_refusals_total', 'Requests refused by a limit', ['name'])
  const tokens = counter('sallyport_tokens_total', 'Tokens that targets reported', [
    'direction',
    'model',
    'principal',
  ])
  const engineFaults = counter(
    'sallyport_engine_faults_total',
    'Decisions that the engine gave up, by what happened',
    ['code'],
  )
  const reloads = counter('sallyport_policy_reloads_total', 'Attempts to put a policy in force', ['outcome'])
  const flips = counter(
    'sallyport_candidate_flips_total',
    'Decisions that the candidate would have made otherwise',
  )
  const info = gauge('sallyport_policy_info', 'The revision in force', ['revision'])
  const audit = counter('sallyport_audit_records_total', 'Audit records', ['sink', 'outcome'])
  const retries = counter('sallyport_retries_total', 'Requests sent to another target', ['pool', 'reason'])
  const spans = counter('sallyport_spans_total', 'Spans of traces, where they are exported', ['outcome'])
  const ofTarget = (name: string, help: string, value: (target: TargetGauges) => number | undefined) =>
    reading(name, help, ['pool', 'target'], async () =>
      needs.targets().flatMap(one => {
        const number = value(one)
        return number === undefined ? [] : [[{ pool: one.pool, target: one.target }, number] as const]
      }),
    )
  ofTarget('sallyport_target_up', 'Whether a target takes requests', ({ up }) => Number(up))
  ofTarget('sallyport_target_in_flight', 'Requests that a target is working on', one => one.inFlight)
  ofTarget('sallyport_target_slots', 'How many it can work on, where that is known', one => one.slots)
  ofTarget('sallyport_target_breaker_open', 'Whether its breaker is open', one => Number(one.breakerOpen))
  reading('sallyport_queue_depth', 'Requests that wait for a slot', ['pool'], async () =>
    needs.queues().map(({ pool, depth }) => [{ pool }, depth] as const),
  )
  reading('sallyport_grants_active', 'Grants that are in force', [], async () => [[{}, await needs.grants()]])
  reading(
    'sallyport_limit_used_ratio',
    'Of each limit, the largest share that anybody has used of it',
    ['name'],
    async () =>
      [...(await needs.limitsUsed())].map(([name, used]) => [{ name: limits(name) }, used] as const),
  )

  const storeUp = gauge('sallyport_store_up', 'Whether the store answers', ['engine'])
  const storeModes = gauge('sallyport_store_mode', 'How limits are enforced now: 1 for the mode', ['mode'])
  const rules = boundedNames()
  const codes = boundedNames()
  const limits = boundedNames()
  const principals = boundedNames(10_000)
  const operationNames = boundedNames()
  // What has not happened yet is told as 0, so that the first time is a rise.
  for (const outcome of ['activated', 'refused', 'rolled_back']) reloads.add([outcome], 0)
  const sinks = new Set<string>()
  const modelLabel = (model: string | null): string =>
    model === null ? 'none' : needs.models().includes(model) ? model : 'other'
  const askedLabels = (operation: string, provider: string, model: string | null): string[] => [
    operationNames(OPERATION_NAMES[operation] ?? operation),
    provider,
    modelLabel(model),
  ]

  return {
    families: instruments.families,
    text: instruments.text,
    contentType: instruments.contentType,
    request({ principal, pool, model, outcome, code, seconds }) {
      requests.add([pool ?? 'none', modelLabel(model), outcome, codes(code)])
      principalRequests.add([principal === undefined ? 'none' : principals(principal), outcome])
      duration.add([outcome], seconds)
    },
    decision(rule, allow, seconds) {
      decisions.add([rules(rule ?? 'none'), allow ? 'true' : 'false'])
      decisionDuration.add([], seconds)
    },
    engineFault: code => engineFaults.add([code]),
    limitRefusal: name => limitRefusals.add([limits(name)]),
    tokens(principal, model, input, output) {
      const [label, who] = [modelLabel(model), principals(principal)]
      tokens.add(['input', label, who], input)
      tokens.add(['output', label, who], output)
    },
    firstToken: (operation, provider, model, seconds) =>
      firstToken.add(askedLabels(operation, provider, model), seconds),
    firstByte: (pool, seconds) => firstByte.add([pool], seconds),
    operation({ operation, provider, model, seconds, error, usage: used }) {
      const labels = askedLabels(operation, provider, model)
      operations.add([...labels, error === undefined ? '' : codes(error)], seconds)
      if (!used) return
      usage.add([...labels, 'input'], used.inputTokens)
      usage.add([...labels, 'output'], used.outputTokens)
    },
    reload: outcome => reloads.add([outcome]),
    flip: () => flips.add([]),
    policy(revision) {
      info.reset()
      info.set({ revision }, 1)
    },
    retry: (pool, reason) => retries.add([pool, reason]),
    store: (engine, ok) => storeUp.set({ engine }, ok ? 1 : 0),
    storeMode(mode) {
      for (const each of ['shared', 'local', 'refusing'])
        storeModes.set({ mode: each }, each === mode ? 1 : 0)
    },
    spans: (count, outcome) => spans.add([outcome], count),
    auditRecords(sink, count, outcome) {
      if (!sinks.has(sink)) for (const each of ['written', 'failed']) audit.add([sink, each], 0)
      sinks.add(sink)
      audit.add([sink, outcome], count)
    },
  }
}

/** OpenTelemetry's names of ours. */
const OPERATION_NAMES: Readonly<Record<string, string>> = {
  completion: 'text_completion',
  embedding: 'embeddings',
}
