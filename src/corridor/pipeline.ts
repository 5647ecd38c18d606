/**
 * The corridor: one request, from its first byte to its last record.
 *
 *     intake ▶ identify ▶ describe ▶ decide ▶ admit ▶ route ▶ record ▶ forward ▶ relay ▶ record
 *
 * Each verb adds one fact to the visit and can refuse. Nothing is forwarded before its decision is
 * written, no refusal is answered before it is, and the last byte of an answer waits for its outcome.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EndedGrant } from '../access/directory.ts'
import type { Outcome } from '../audit/record.ts'
import type { ActiveGrant } from '../contract/access.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'
import { Roster } from '../contract/roster.ts'
import type { EpochMs } from '../contract/units.ts'
import { LimitRefusal } from '../limits/admit.ts'
import type { Pricing } from '../limits/amounts.ts'
import type { Ledger, Standing } from '../limits/ledger.ts'
import type { Candidate } from '../policy/candidate.ts'
import { EngineError } from '../policy/engine/engine-error.ts'
import type { Revision } from '../policy/revision.ts'
import type { TrustedProxies } from '../server/forwarded.ts'
import { newId, requestIdOf } from '../server/ids.ts'
import { intake } from '../server/intake.ts'
import { isModelList, listModels } from '../server/models.ts'
import { readBody } from '../server/read-body.ts'
import { respondEvents, respondJson, respondRefusal } from '../server/respond.ts'
import { parseBody } from '../server/strict-json.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { Tracer } from '../telemetry/tracer.ts'
import { ClientLeft } from '../upstreams/client-left.ts'
import type { Pools } from '../upstreams/pools.ts'
import type { StopReason } from '../upstreams/relay.ts'
import type { AccessApi } from './access-api.ts'
import { type CallerNeeds, callerOf } from './caller.ts'
import { grantClaims } from './grounds.ts'
import { headersOf } from './headers.ts'
import { createOwnApi, isOwn, type NamedLimits, type OwnApiNeeds } from './own-api.ts'
import type { Passage } from './passage.ts'
import { createPermit } from './permit.ts'
import { type Asker, createQuestions, stillAllowed } from './question.ts'
import type { Recorder } from './recorder.ts'
import { isFault, refusalOf } from './refusal.ts'
import { inScope } from './scope.ts'
import { beginTrace } from './traced.ts'
import { Visit } from './visit.ts'

export interface PipelineNeeds extends Pick<OwnApiNeeds, 'namedElsewhere'> {
  /** Milliseconds since the epoch. */
  now(): number
  readonly policy: { current(): Revision | undefined; confirmedAt(): number | undefined }
  readonly ledger: Ledger
  readonly pools: Pools
  readonly passage: Passage
  readonly recorder: Recorder
  readonly metrics: Metrics
  readonly tracer: Tracer
  /** Asked beside the policy in force, and never obeyed. */
  readonly candidate?: Candidate | undefined
  readonly accessApi: AccessApi
  readonly grants: PipelineGrants
  readonly log: OperatorLog
  /** Believed about who their client is. */
  readonly proxies: TrustedProxies
  /** What a reload of the config can change; read once per request. */
  settings(): Settings
}

/** What has been approved for a while. */
export interface PipelineGrants {
  /** Those of a principal that are in force, as far as its credential is for them. */
  of(principal: Principal, at: EpochMs): readonly ActiveGrant[]
  /** A request stands on it. @returns When that is on record. */
  used(grant: ActiveGrant, by: { readonly id: string; readonly decisionId: string }): Promise<void>
  /** Its ceiling is reached. */
  usedUp(grant: ActiveGrant): void
}

export interface Settings extends CallerNeeds {
  readonly maxBodyBytes: number
  readonly pricing: Pricing
}

export interface Pipeline {
  /** Never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Requests that have not ended. */
  running(): number
  /** What the policy named lately for a principal. */
  named(principal: string): NamedLimits | undefined
  /** How the limits stand that the policy named lately. */
  standings(): readonly Standing[] | Promise<readonly Standing[]>
  /** Ends what still runs, in its own protocol. */
  drain(): void
  /** Ends what stands on a grant that is over, unless the policy allows it all the same. */
  grantEnded(grant: EndedGrant): void
}

export function createPipeline(needs: PipelineNeeds): Pipeline {
  const { now, policy, ledger, pools, passage, recorder, metrics, log } = needs
  const questions = createQuestions({ confirmedAt: policy.confirmedAt, poolFacts: pools.facts })
  const ownApi = createOwnApi({ ...needs, questions })
  const { candidate } = needs
  const permit = createPermit({ ledger, pools, questions, metrics, candidate, remember: ownApi.remember })
  const visits = new Roster<Visit>()

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = now()
    const id = newId(at)
    const given = request.headers['x-request-id']
    const requestId = requestIdOf(typeof given === 'string' ? given : undefined, id)
    const visit = new Visit(request, response, id, requestId, at, performance.now(), policy.current())
    visits.add(visit)
    response.on('close', () => {
      visit.aborted = !response.writableFinished
      visit.onAbort?.()
    })
    // A write that fails is seen as a client that left.
    response.on('error', () => {})
    try {
      try {
        await pass(visit, needs.settings())
      } catch (error) {
        await refuse(visit, error)
      }
    } catch (fault) {
      log.error('fault', { decision_id: id, message: String(fault), stack: (fault as Error).stack })
      response.destroy()
    } finally {
      visit.settle()
      visit.leaveTarget()
      visits.delete(visit)
      if (visit.grounds.length > 0) void lookAtCeilings(visit)
    }
  }

  async function pass(visit: Visit, settings: Settings): Promise<void> {
    const { revision } = visit
    const facts = intake(visit.request, needs.proxies)
    visit.facts = facts
    beginTrace(visit, needs.tracer)
    if (!revision) throw noPolicy()
    visit.trace?.begin('identify')
    const identified = callerOf(facts, visit.now, settings)
    const principal = identified instanceof Promise ? await identified : identified
    visit.principal = principal
    visit.trace?.end()
    visit.grants = needs.grants.of(principal, visit.now)
    const asker = { principal, revision, grants: visit.grants }
    takeIn(visit, await readBody(visit.request, visit.response, settings.maxBodyBytes))
    if (isOwn(facts)) {
      const own = await ownApi.answer(visit, facts, asker, visit.body)
      return 'text' in own ? answer(visit, own.text, own.status) : answerEvents(visit, own.events)
    }
    const decision = await permit(visit, facts, asker, settings.pricing)
    if (isModelList(facts)) return answerModels(visit, facts, asker)
    visit.pool = visit.pools[0]
    await (visit.grounds.length > 0 ? recordWithUses(visit, principal) : recorder.decision(visit))
    visit.recorded = true
    // What it stands on has ended since it was decided.
    if (visit.endedBy) throw new ClientLeft()
    visit.trace?.begin('queue')
    await passage.through(visit, facts, decision)
  }

  /** And that the grants that it stands on are used, where they never were. */
  async function recordWithUses(visit: Visit, principal: Principal): Promise<void> {
    const recorded = recorder.decision(visit).then(() => {
      visit.recorded = true
    })
    const by = { id: principal.id, decisionId: visit.id }
    const unused = visit.grounds.filter(({ used }) => !used)
    await Promise.all([recorded, ...unused.map(grant => needs.grants.used(grant, by))])
  }

  /** Once what was used is charged: a grant that has nothing left is over. Never rejects. */
  async function lookAtCeilings({ grounds }: Visit): Promise<void> {
    try {
      for (const grant of grounds) {
        const standings = await ledger.look(grantClaims(grant), now())
        if (standings.some(({ remaining }) => remaining === 0)) needs.grants.usedUp(grant)
      }
    } catch {
      // The store is away; who asks next finds the ceiling where it is.
    }
  }

  /** For each model of the pools the policy is asked about a chat with it, spending nothing. */
  async function answerModels(visit: Visit, facts: RequestFacts, asker: Asker): Promise<void> {
    const text = listModels(facts, pools.models(), ({ request, body }) => {
      const description = questions.describe(visit, asker, request, body)
      return (
        inScope(asker.principal, request, description.model) &&
        questions.decide(visit, asker, description).decision.allow
      )
    })
    await recorder.decision(visit)
    visit.recorded = true
    await recorder.outcome(visit, { outcome: 'completed', status: 200, bytesOut: Buffer.byteLength(text) })
    answer(visit, text)
  }

  function answer(visit: Visit, text: string, status = 200): void {
    respondJson(visit.request, visit.response, status, text, headersOf(visit))
    recorder.count(visit, 'completed', 'ok')
  }

  async function answerEvents(visit: Visit, events: AsyncIterable<object>): Promise<void> {
    await respondEvents(visit.response, events, headersOf(visit))
    recorder.count(visit, visit.aborted ? 'client_closed' : 'completed', 'ok')
  }

  async function refuse(visit: Visit, thrown: unknown): Promise<void> {
    // Who waited for a first byte when the gateway stopped, or a grant ended, has not left, and is told.
    const ended = thrown instanceof ClientLeft && !visit.aborted ? (visit.endedBy ?? 'drained') : undefined
    const error = ended === undefined ? thrown : endedEarly(ended)
    if (error instanceof LimitRefusal) {
      visit.standings = error.standings
      metrics.limitRefusal(error.refusedBy.claim.name)
    }
    if (isFault(error)) {
      log.error('fault', { decision_id: visit.id, message: String(error), stack: (error as Error).stack })
    }
    if (error instanceof GatewayError && error.cause instanceof EngineError)
      metrics.engineFault(error.cause.code)
    // What was refused costs nothing; what was sent to a target does, even if the client left or it failed.
    if (!visit.target) visit.reservation?.giveBack()
    let refusal = refusalOf(error)
    const outcome = ended ?? outcomeOf(error, visit)
    try {
      if (visit.recorded)
        await recorder.outcome(visit, { outcome, status: refusal.told.status, bytesOut: 0, refusal })
      else await recorder.decision(visit, refusal)
    } catch (unrecorded) {
      refusal = refusalOf(unrecorded)
    }
    recorder.count(visit, outcome, refusal.told.code, refusal.told.status)
    if (visit.response.headersSent) visit.response.destroy()
    else respondRefusal(visit.request, visit.response, refusal.told, headersOf(visit))
  }

  return {
    handle,
    running: () => visits.size,
    named: ownApi.named,
    standings: () => ownApi.standings(now()),
    drain() {
      for (const visit of visits) {
        if (visit.stop) visit.stop('drained')
        else if (visit.onAbort) visit.onAbort()
        else visit.response.destroy()
      }
    },
    grantEnded({ id, why }) {
      const reason = why === 'expired' ? 'expired' : 'revoked'
      for (const visit of visits) {
        if (!visit.grants.some(({ facts }) => facts.id === id)) continue
        visit.grants = visit.grants.filter(({ facts }) => facts.id !== id)
        if (visit.grounds.length === 0 || stillAllowed(visit, now())) continue
        visit.endedBy = reason
        if (visit.stop) visit.stop(reason)
        else visit.onAbort?.()
      }
    },
  }
}

/** Not in the corridor itself, which holds all that it names until the answer is over. */
function takeIn(visit: Visit, bytes: Buffer): void {
  visit.bytesIn = bytes.length
  visit.body = bytes.length > 0 ? parseBody(bytes) : undefined
}

function outcomeOf(error: unknown, { recorded }: Visit): Outcome {
  if (error instanceof ClientLeft) return 'client_closed'
  if (error instanceof GatewayError && error.code === 'overloaded') return 'refused'
  return recorded ? 'upstream_failed' : 'refused'
}

function endedEarly(why: StopReason): GatewayError {
  if (why !== 'drained') {
    return new GatewayError('forbidden', `the grant that this stood on has ended: ${why}`, {
      title: 'The grant that allowed this has ended',
    })
  }
  return new GatewayError('overloaded', 'the gateway is stopping', {
    title: 'The gateway is stopping',
    retryAfterSeconds: 1,
  })
}

function noPolicy(): GatewayError {
  return new GatewayError('policy_error', 'no policy is in force', { status: 503, retryAfterSeconds: 5 })
}
