/**
 * Metrics, by the names of the contract. The one door of `prom-client`.
 *
 * Every label is a closed set: a model that no pool serves is `other`, and nothing that a caller
 * without a credential can choose becomes a label.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface RequestFacts {
  readonly pool: string | undefined
  readonly model: string | null
  readonly outcome: string
  /** A refusal code, or `ok`. */
  readonly code: string
  readonly seconds: number
}

export interface Metrics {
  request(facts: RequestFacts): void
  decision(rule: string | undefined, allow: boolean, seconds: number): void
  limitRefusal(name: string): void
  /** A decision that the engine gave up; its instance was replaced where that was needed. */
  engineFault(code: string): void
  tokens(principal: string, model: string | null, input: number, output: number): void
  firstToken(model: string | null, seconds: number): void
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
  /** In the exposition format of Prometheus. */
  text(): Promise<string>
  readonly contentType: string
}

export interface MetricsNeeds {
  /** The models that pools serve: the only ones that become labels. */
  models(): readonly string[]
  targets(): readonly TargetGauges[]
  queues(): readonly { readonly pool: string; readonly depth: number }[]
  /** Grants that are in force. */
  grants(): number
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
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
]
const DECISION_BUCKETS = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.1,
]

/** A rule is named by the policy; one that makes names up at run time must not fill the memory. */
const MOST_NAMES = 200

export function createMetrics({ models, targets, queues, grants }: MetricsNeeds): Metrics {
  const registers = [new Registry()]
  const [registry] = registers as [Registry]
  collectDefaultMetrics({ register: registry })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers })

  const requests = counter('sallyport_requests_total', 'Requests, by how they ended', [
    'pool',
    'model',
    'outcome',
    'code',
  ])
  const duration = new Histogram({
    name: 'sallyport_request_duration_seconds',
    help: 'From the head of a request to the end of its answer',
    labelNames: ['outcome'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
  const decisionDuration = new Histogram({
    name: 'sallyport_decision_duration_seconds',
    help: 'Evaluation of the policy',
    buckets: DECISION_BUCKETS,
    registers,
  })
  const firstToken = new Histogram({
    name: 'gen_ai_server_time_to_first_token',
    help: 'Seconds until the first byte of an answer',
    labelNames: ['gen_ai_request_model'],
    buckets: REQUEST_BUCKETS,
    registers,
  })
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
    [],
  )
  const info = gauge('sallyport_policy_info', 'The revision in force', ['revision'])
  const audit = counter('sallyport_audit_records_total', 'Audit records', ['sink', 'outcome'])
  const retries = counter('sallyport_retries_total', 'Requests sent to another target', ['pool', 'reason'])
  /** Read when they are asked for, as much of it changes with time alone. */
  const read = <T>(
    name: string,
    help: string,
    of: () => readonly T[],
    show: (gauge: Gauge, one: T) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['pool', 'target'],
      registers,
      collect() {
        this.reset()
        for (const one of of()) show(this, one)
      },
    })
  const ofTarget = (name: string, help: string, value: (target: TargetGauges) => number | undefined) =>
    read(name, help, targets, (gauge, one) => {
      const number = value(one)
      if (number !== undefined) gauge.set({ pool: one.pool, target: one.target }, number)
    })
  ofTarget('sallyport_target_up', 'Whether a target takes requests', ({ up }) => Number(up))
  ofTarget('sallyport_target_in_flight', 'Requests that a target is working on', one => one.inFlight)
  ofTarget('sallyport_target_slots', 'How many it can work on, where that is known', one => one.slots)
  ofTarget('sallyport_target_breaker_open', 'Whether its breaker is open', one => Number(one.breakerOpen))
  read('sallyport_queue_depth', 'Requests that wait for a slot', queues, (gauge, { pool, depth }) =>
    gauge.set({ pool }, depth),
  )

  const storeUp = gauge('sallyport_store_up', 'Whether the store answers', ['engine'])
  const storeModes = gauge('sallyport_store_mode', 'How limits are enforced now: 1 for the mode', ['mode'])
  new Gauge({
    name: 'sallyport_grants_active',
    help: 'Grants in force',
    registers,
    collect() {
      this.set(grants())
    },
  })

  const rules = boundedNames()
  const codes = boundedNames()
  const limits = boundedNames()
  const principals = boundedNames(10_000)
  const modelLabel = (model: string | null): string =>
    model === null ? 'none' : models().includes(model) ? model : 'other'

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    request({ pool, model, outcome, code, seconds }) {
      requests.inc({ pool: pool ?? 'none', model: modelLabel(model), outcome, code: codes(code) })
      duration.observe({ outcome }, seconds)
    },
    decision(rule, allow, seconds) {
      decisions.inc({ rule: rules(rule ?? 'none'), allow: String(allow) })
      decisionDuration.observe(seconds)
    },
    engineFault: code => engineFaults.inc({ code }),
    limitRefusal: name => limitRefusals.inc({ name: limits(name) }),
    tokens(principal, model, input, output) {
      const labels = { model: modelLabel(model), principal: principals(principal) }
      tokens.inc({ ...labels, direction: 'input' }, input)
      tokens.inc({ ...labels, direction: 'output' }, output)
    },
    firstToken: (model, seconds) => firstToken.observe({ gen_ai_request_model: modelLabel(model) }, seconds),
    reload: outcome => reloads.inc({ outcome }),
    flip: () => flips.inc(),
    policy(revision) {
      info.reset()
      info.set({ revision }, 1)
    },
    retry: (pool, reason) => retries.inc({ pool, reason }),
    store: (engine, ok) => storeUp.set({ engine }, ok ? 1 : 0),
    storeMode(mode) {
      for (const each of ['shared', 'local', 'refusing'])
        storeModes.set({ mode: each }, each === mode ? 1 : 0)
    },
    auditRecords: (sink, count, outcome) => audit.inc({ sink, outcome }, count),
  }
}

/** Lets so many names through as they are; every further one is `other`. */
function boundedNames(most = MOST_NAMES): (name: string) => string {
  const known = new Set<string>()
  return name => {
    if (known.has(name)) return name
    if (known.size >= most) return 'other'
    known.add(name)
    return name
  }
}
