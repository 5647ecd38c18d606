/**
 * The last part of the corridor: a decided and recorded request to its target, and the answer back.
 */
import type { AuditContent, Decision } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import { GENERATING } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'
import { parseDuration } from '../contract/units.ts'
import { createUsageFilter } from '../limits/usage-filter.ts'
import { createUsageReader, type UsageReader } from '../limits/usage-reader.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { discard } from '../upstreams/call.ts'
import { ClientLeft } from '../upstreams/client-left.ts'
import { conversationOf } from '../upstreams/conversation.ts'
import type { Deadlines, Watched } from '../upstreams/deadlines.ts'
import { type Answered, type ForwardNeeds, forward } from '../upstreams/forward.ts'
import { linger } from '../upstreams/linger.ts'
import { type Relayed, relay } from '../upstreams/relay.ts'
import { retryAfterMs } from '../upstreams/retry-after.ts'
import { reportsNoUsage, rewrittenBody } from '../upstreams/rewrite.ts'
import { protocolOf } from '../upstreams/stream-protocol.ts'
import { answerHeaders, upstreamHeaders } from '../upstreams/upstream-headers.ts'
import { headersOf } from './headers.ts'
import { stillAllowed } from './question.ts'
import { contentOf, type Recorder } from './recorder.ts'
import { callTrace, providerOf } from './traced.ts'
import type { MeasuredUsage, Visit } from './visit.ts'

export interface Passage {
  /** @throws GatewayError while nothing was sent to the client. */
  through(visit: Visit, facts: RequestFacts, decision: Decision): Promise<void>
}

export interface PassageNeeds extends ForwardNeeds {
  /** On the wall clock: when a right ends. */
  readonly expiries: Deadlines
  readonly recorder: Recorder
  readonly metrics: Metrics
  defaultContent(): AuditContent
}

/** Of an answer that is kept for the record, no more than this. */
const MOST_KEPT_BYTES = 1024 * 1024

export function createPassage(needs: PassageNeeds): Passage {
  const { recorder, metrics, deadlines, expiries, now } = needs

  async function through(visit: Visit, facts: RequestFacts, decision: Decision): Promise<void> {
    // A stream that would not report its usage is asked to, and its client not told: what was used is accounted for.
    const hidesUsage = reportsNoUsage(visit.body, facts.path)
    const answered = await send(visit, facts, decision, hidesUsage)
    if (answered.head.readUntil !== undefined) await leaveBehind(visit, answered, facts)
    visit.firstByteMs = performance.now() - visit.began
    refuseFailure(answered)
    await answerWith(visit, answered, facts, decision, hidesUsage)
  }

  /** An answer that began when nobody waited for it any more: what came of it is charged. */
  async function leaveBehind(visit: Visit, answered: Answered, facts: RequestFacts): Promise<never> {
    const { head } = answered
    const usage = createUsageReader(protocolOf(head.answer) !== undefined)
    await new Promise<void>(onOver =>
      linger(head, { deadlines, now, count: usage.push, onOver }, reader => head.answer.read(reader)),
    )
    visit.usage = measured(visit, facts, answered, usage, false)
    visit.settle()
    throw new ClientLeft()
  }

  function send(
    visit: Visit,
    facts: RequestFacts,
    { rewrite, priority, recheck_every }: Decision,
    asksUsage: boolean,
  ): Promise<Answered> {
    const { pools } = visit
    const body = rewrittenBody(visit.body, rewrite, facts.path, asksUsage)
    const conversations = pools.map(({ prefixCharacters }) =>
      prefixCharacters === undefined
        ? undefined
        : conversationOf(visit.body?.value, visit.model, prefixCharacters),
    )
    visit.letGoOfQuestion(recheck_every !== undefined || visit.grants.length > 0)
    const bodyLength = body?.length ?? (facts.method === 'GET' || facts.method === 'HEAD' ? undefined : 0)
    return forward(
      {
        pools,
        principal: visit.principal?.id ?? '',
        priority: priority ?? 0,
        model: visit.model,
        keyFor: pool => conversations[pools.indexOf(pool)],
        began: steadyBegin(visit),
        left: visit,
        onPlace: place => visit.enter(place),
        onWaited: ms => {
          visit.queueMs += ms
        },
        requestFor: (target, pool) => ({
          method: facts.method,
          target: facts.path + facts.search,
          headers: upstreamHeaders(
            {
              headers: facts.headers,
              requestId: visit.requestId,
              bodyLength,
              rewrite: rewrite?.headers,
              trace: callTrace(visit),
            },
            pool,
            target,
          ),
          body,
        }),
      },
      needs,
    )
  }

  /** When the request came, on the clock of the deadlines. */
  function steadyBegin({ began }: Visit): number {
    return now() - (performance.now() - began)
  }

  /** A target's 4xx is the caller's business; its 5xx is not, and its body may tell of internals. */
  function refuseFailure({ head, target, pool }: Answered): void {
    const { answer } = head
    const { status } = answer
    if (status < 500 || pool.passErrors) return
    const restMs = retryAfterMs(answer.header('retry-after'), answer.header('date'))
    discard(answer)
    throw new GatewayError('upstream_unavailable', `${target.state.url} answered ${status}`, {
      ...(restMs === undefined ? {} : { retryAfterSeconds: Math.ceil(restMs / 1000) }),
    })
  }

  async function answerWith(
    visit: Visit,
    answered: Answered,
    facts: RequestFacts,
    decision: Decision,
    hidesUsage: boolean,
  ): Promise<void> {
    const { head, target, pool } = answered
    const { answer } = head
    const protocol = protocolOf(answer)
    const streamed = protocol !== undefined
    const usage = createUsageReader(streamed)
    const filter = protocol === 'sse' && hidesUsage ? createUsageFilter() : undefined
    const kept = contentOf(visit, needs.defaultContent()) === 'all' ? keeper() : undefined
    const firstByteSeconds = (visit.firstByteMs ?? 0) / 1000
    metrics.firstByte(pool.name, firstByteSeconds)
    if (visit.described?.stream)
      metrics.firstToken(facts.operation, providerOf(visit), visit.model, firstByteSeconds)
    writeHead(visit, answered, streamed)
    const ends = endsOf(visit, decision)
    for (const end of ends) expiries.watch(end)
    const relaying = relay(head, visit.response, {
      deadlines,
      now,
      timeouts: pool.timeouts,
      totalBy: Math.min(steadyBegin(visit) + pool.timeouts.total, now() + pool.answer.maxMs),
      maxBytes: pool.answer.maxBytes,
      stop: visit,
      pass(part) {
        usage.push(part)
        const passed = filter?.push(part) ?? part
        kept?.push(passed)
        return passed
      },
      count: usage.push,
      rest: () => filter?.end() ?? NOTHING_LEFT,
    })
    // What it stood on ended while the first byte was on its way.
    if (visit.endedBy) visit.stop?.(visit.endedBy)
    const relayed = await relaying
    for (const end of ends) expiries.forget(end)
    if (relayed.faulty) needs.pools.failed(target, pool, 'unreachable')
    visit.usage = measured(visit, facts, answered, usage, relayed.end === 'completed')
    // Charged before it is on record: what the log says was answered was counted.
    visit.settle()
    await close(visit, relayed, {
      outcome: relayed.end,
      status: answer.status,
      bytesOut: relayed.bytesOut,
      response: kept?.text(),
    })
  }

  async function close(
    visit: Visit,
    relayed: Relayed,
    ending: Parameters<Recorder['outcome']>[1],
  ): Promise<void> {
    try {
      await recorder.outcome(visit, ending)
      relayed.finish()
    } catch {
      // Not on record, so not answered whole; the audit log has told its own state.
      relayed.cut()
    }
    recorder.count(visit, relayed.end, relayed.end === 'completed' ? 'ok' : relayed.end)
  }

  function writeHead(visit: Visit, { head, target }: Answered, streamed: boolean): void {
    const { response } = visit
    const { answer } = head
    // A target that says come back later, and not when.
    const later = TELLS_WHEN.has(answer.status) && answer.header('retry-after') === undefined
    const headers = answerHeaders(answer.rawHeaders, target.url)
    headers.push(...headersOf(visit))
    if (later) headers.push('retry-after', '1')
    response.writeHead(answer.status, headers)
    if (streamed) response.flushHeaders()
  }

  /** The moments at which the right to an answer that still streams is looked at. */
  function endsOf(visit: Visit, { expires_at, recheck_every }: Decision): Watched[] {
    const ends: Watched[] = []
    if (expires_at !== undefined) {
      ends.push({ dueAt: Date.parse(expires_at), onDue: () => visit.stop?.('expired') })
    }
    if (recheck_every !== undefined) ends.push(recheckOf(visit, parseDuration(recheck_every)))
    return ends
  }

  /** The same question at a later moment, to the same revision. */
  function recheckOf(visit: Visit, everyMs: number): Watched {
    const recheck: Watched = {
      dueAt: visit.now + everyMs,
      onDue(at) {
        if (!stillAllowed(visit, at)) {
          visit.stop?.('revoked')
          return
        }
        recheck.dueAt = at + everyMs
        expiries.watch(recheck)
      },
    }
    return recheck
  }

  return { through }
}

const TELLS_WHEN: ReadonlySet<number> = new Set([429, 503])
const NOTHING_LEFT = Buffer.alloc(0)

/** What the server reported; else, of an answer that was generated, what passed. @param whole - It was not cut. */
function measured(
  visit: Visit,
  facts: RequestFacts,
  { head: { answer } }: Answered,
  reader: UsageReader,
  whole: boolean,
): MeasuredUsage | undefined {
  const reported = reader.end()
  // A server that reports as it goes may have told of less than it sent, where it was cut.
  if (reported) {
    const { inputTokens, outputTokens } = reported
    const isShort = !whole && reader.pieces() > outputTokens
    return { inputTokens, outputTokens: isShort ? reader.pieces() : outputTokens, estimated: isShort }
  }
  if (!GENERATING.has(facts.operation) || answer.status !== 200) return undefined
  const inputTokens = visit.described?.estimatedInputTokens ?? 0
  return { inputTokens, outputTokens: reader.generated(), estimated: true }
}

function keeper(): { push(part: Buffer): void; text(): string } {
  const parts: Buffer[] = []
  let size = 0
  return {
    push(part) {
      if (size < MOST_KEPT_BYTES) parts.push(part.subarray(0, MOST_KEPT_BYTES - size))
      size += part.length
    },
    text: () => Buffer.concat(parts).toString('utf8'),
  }
}
