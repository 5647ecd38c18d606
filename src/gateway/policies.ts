/**
 * The policies that a gateway asks: the one in force and, beside it, perhaps a candidate.
 */

import { lastRecords } from '../audit/read-records.ts'
import { mergedByTime, workerLogs } from '../audit/worker-logs.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { FINDING_MEANINGS, type FindingCode } from '../contract/finding-meanings.ts'
import type { Attempt } from '../contract/seen.ts'
import { parseDuration, parseSize } from '../contract/units.ts'
import { type Activation, createActivation } from '../policy/activate/activation.ts'
import { type Compile, compile } from '../policy/activate/edition.ts'
import { type EngineNeeds, type LoadedBundle, trySamples } from '../policy/activate/load.ts'
import type { ReplayGate } from '../policy/activate/replay-step.ts'
import { isRecorded } from '../policy/replay/recorded.ts'
import type { Revision } from '../policy/revision.ts'
import { runOwnTests } from '../policy/tests/own-tests.ts'
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
  /** Others decide by what is in force here. */
  readonly spread?: Spread
}

export type Role = 'policy' | 'candidate'

export interface Spread {
  /** Told what a revision was made from. */
  loaded(revision: Revision, bundle: LoadedBundle): void
  /** Never rejects. @returns When nobody decides by another one any more. */
  handOut(role: Role, policy: Pick<Activation, 'current' | 'confirmedAt'>): Promise<void>
  /** When all is handed out. */
  settled(): Promise<void>
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
  const tell = ({ outcome, revision, diagnostics, steps, from }: Attempt): void => {
    metrics.reload(outcome)
    if (revision !== null) metrics.policy(revision)
    const origin = from === undefined ? {} : { from }
    record(`policy.${outcome}`, outcome === 'activated' ? { revision, ...origin } : { diagnostics })
    if (outcome === 'activated') log.info('policy_activated', { revision, steps, ...origin })
    else log.error('policy_refused', { diagnostics })
  }
  const policy = policyOf(needs, 'policy', { ...source, replay: gate }, tell)
  return {
    ...policy,
    rollback(id) {
      const facts = policy.rollback(id)
      metrics.reload('rolled_back')
      metrics.policy(facts.revision)
      record('policy.rolled_back', facts)
      log.warn('policy_rolled_back', facts)
      void needs.spread?.handOut('policy', policy)
      return facts
    },
  }
}

/** Never in force, so its attempts are the operator's business and not the audit log's. */
function openCandidate(needs: PoliciesNeeds, path: string): Policy {
  const { log } = needs
  const source = { path, shown: shownSource(path), stateFolder: undefined }
  return policyOf(needs, 'candidate', source, ({ outcome, revision, diagnostics, steps }) => {
    if (outcome === 'activated') log.info('candidate_loaded', { revision, steps })
    else log.error('candidate_refused', { diagnostics })
  })
}

function policyOf(
  { config, pools, log, now, random, spread }: PoliciesNeeds,
  role: Role,
  place: Pick<PolicySourceNeeds, 'path' | 'shown' | 'stateFolder' | 'replay'>,
  tell: (attempt: Attempt) => void,
): Policy {
  const { entrypoint, activation, signature } = config.policy
  const engine = engineNeeds(config)
  const { builtinErrors, maxMemoryBytes } = engine
  const loading = {
    ...engine,
    shown: place.shown,
    entrypoint,
    models: pools.models,
    pools: pools.facts,
    ...(spread && { onLoaded: spread.loaded }),
  }
  const source = openPolicySource({
    ...loading,
    ...place,
    signature,
    ownTests: activation.tests ? runOwnTests : undefined,
    compile: inTurn(compile, compileAside),
    scenarios: {
      builtinErrors,
      maxMemoryBytes,
      pools: pools.facts,
      readRequest: readImagined,
    },
    now,
    random,
    onNotKept: cause => log.warn('last_good_not_kept', { message: (cause as Error).message }),
  })
  const active = createActivation({
    now,
    onAttempt(attempt) {
      // Told once it is true of everybody.
      if (spread && attempt.outcome === 'activated')
        void spread.handOut(role, active).then(() => tell(attempt))
      else tell(attempt)
    },
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
      await spread?.settled()
    },
    watch: () => source.watch(() => void active.refresh()),
  }
}

export function engineNeeds({
  policy: { builtinErrors, maxMemory, activation },
}: GatewayConfig): EngineNeeds {
  return {
    builtinErrors,
    maxMemoryBytes: parseSize(maxMemory),
    maxEvaluationMs: parseDuration(activation.maxEvaluation),
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
    lines: async () => (sink ? lastOf([sink.path, ...workerLogs(sink.path)], last, isQuestion) : []),
  }
}

/** Of several logs, the latest by their time. */
async function lastOf(
  files: readonly string[],
  most: number,
  fits: (line: string) => boolean,
): Promise<string[]> {
  const [only, ...others] = await Promise.all(files.map(file => lastRecords(file, most, fits)))
  if (others.every(lines => lines.length === 0)) return only ?? []
  return mergedByTime([only ?? [], ...others]).slice(-most)
}

function codeOf(cause: unknown): FindingCode {
  const { code } = cause as { code?: unknown }
  return typeof code === 'string' && Object.hasOwn(FINDING_MEANINGS, code) ? (code as FindingCode) : 'fault'
}
