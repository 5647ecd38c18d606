/**
 * The policies that a gateway asks: the one in force and, beside it, perhaps a candidate.
 */

import { lastRecords } from '../audit/read-records.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { FINDING_MEANINGS, type FindingCode } from '../contract/finding-meanings.ts'
import type { Attempt } from '../contract/seen.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import { type Activation, createActivation } from '../policy/activation.ts'
import { type Compile, compile } from '../policy/edition.ts'
import { trySamples } from '../policy/load.ts'
import { runOwnTests } from '../policy/own-tests.ts'
import { isRecorded } from '../policy/recorded.ts'
import type { ReplayGate } from '../policy/replay-step.ts'
import { readImagined } from '../server/imagine.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { Pools } from '../upstreams/pools.ts'
import type { Watcher } from '../watcher.ts'
import type { Closing } from './closing.ts'
import { compileAside } from './compile-aside.ts'
import { openPolicySource, type PolicySourceNeeds, shownSource } from './policy-source.ts'

export interface PoliciesNeeds {
  readonly config: GatewayConfig
  readonly log: OperatorLog
  readonly metrics: Metrics
  readonly pools: Pools
  /** Writes an event into the audit log. */
  record(event: string, facts: object): void
  /** Where what must outlive the process is kept. */
  readonly stateFolder: string
  now(): number
  random(): number
}

/** An activation with its source. */
export interface Policy extends Activation {
  /** Looks at the source, asking its server first. */
  reload(): Promise<void>
  /** Follows the source. */
  watch(): Watcher
}

export interface OwnPolicies {
  readonly policy: Policy
  readonly candidate: Policy | undefined
}

/** @param shown - How the policy's path is written in findings. */
export function openPolicies(needs: PoliciesNeeds, shown: string, closing: Closing): OwnPolicies {
  const { candidate } = needs.config.policy
  return {
    policy: closing.add(openPolicy(needs, shown)),
    candidate: candidate && closing.add(openCandidate(needs, candidate.path)),
  }
}

function openPolicy(needs: PoliciesNeeds, shown: string): Policy {
  const { log, metrics, record, stateFolder } = needs
  const source = { path: needs.config.policy.path, shown: shownSource(shown), stateFolder }
  const gate = replayGate(needs.config)
  const policy = policyOf(
    needs,
    { ...source, replay: gate },
    ({ outcome, revision, diagnostics, steps, from }) => {
      metrics.reload(outcome)
      if (revision !== null) metrics.policy(revision)
      const origin = from === undefined ? {} : { from }
      record(`policy.${outcome}`, outcome === 'activated' ? { revision, ...origin } : { diagnostics })
      if (outcome === 'activated') log.info('policy_activated', { revision, steps, ...origin })
      else log.error('policy_refused', { diagnostics })
    },
  )
  return {
    ...policy,
    rollback(id) {
      const facts = policy.rollback(id)
      metrics.reload('rolled_back')
      metrics.policy(facts.revision)
      record('policy.rolled_back', facts)
      log.warn('policy_rolled_back', facts)
      return facts
    },
  }
}

/** Never in force, so its attempts are the operator's business and not the audit log's. */
function openCandidate(needs: PoliciesNeeds, path: string): Policy {
  const { log } = needs
  const source = { path, shown: shownSource(path), stateFolder: undefined }
  return policyOf(needs, source, ({ outcome, revision, diagnostics, steps }) => {
    if (outcome === 'activated') log.info('candidate_loaded', { revision, steps })
    else log.error('candidate_refused', { diagnostics })
  })
}

function policyOf(
  { config, pools, log, now, random }: PoliciesNeeds,
  place: Pick<PolicySourceNeeds, 'path' | 'shown' | 'stateFolder' | 'replay'>,
  onAttempt: (attempt: Attempt) => void,
): Policy {
  const { entrypoint, builtinErrors, maxMemory, activation, signature } = config.policy
  const loading = {
    shown: place.shown,
    entrypoint,
    builtinErrors,
    maxMemoryBytes: parseSize(maxMemory),
    maxEvaluationMs: parseDuration(activation.maxEvaluation),
    models: pools.models,
    pools: pools.facts,
  }
  const source = openPolicySource({
    ...loading,
    ...place,
    signature,
    ownTests: activation.tests ? runOwnTests : undefined,
    compile: inTurn(compile, compileAside),
    scenarios: {
      builtinErrors,
      maxMemoryBytes: loading.maxMemoryBytes,
      pools: pools.facts,
      readRequest: readImagined,
    },
    now,
    random,
    onNotKept: cause => log.warn('last_good_not_kept', { message: (cause as Error).message }),
  })
  const active = createActivation({
    now,
    onAttempt,
    look: source.look,
    lastGood: source.lastGood,
    prove: revision => trySamples(revision, loading),
    unreadable: cause => ({
      severity: 'error',
      code: codeOf(cause),
      message: (cause as Error).message,
      file: place.shown,
      line: 0,
      column: 0,
    }),
  })
  return {
    ...active,
    async reload() {
      await source.ask()
      await active.refresh()
    },
    watch: () => source.watch(() => void active.refresh()),
  }
}

/** The first time in this thread, which has nothing else to do yet. */
function inTurn(first: Compile, later: Compile): Compile {
  let next = first
  return (...order) => {
    const now = next
    next = later
    return now(...order)
  }
}

/** What was decided lately, from the end of the audit log. */
function replayGate({ policy, audit }: GatewayConfig): ReplayGate | undefined {
  const { last, maxFlips } = policy.activation.replay
  if (last === 0) return undefined
  const sink = audit.sinks.find(sink => sink.type === 'file')
  const isQuestion = (line: string): boolean => isRecorded(line, policy.entrypoint)
  return {
    maxFlips,
    lines: async () => (sink ? lastRecords(sink.path, last, isQuestion) : []),
  }
}

function codeOf(cause: unknown): FindingCode {
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' && Object.hasOwn(FINDING_MEANINGS, code) ? (code as FindingCode) : 'fault'
}
