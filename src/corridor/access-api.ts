/**
 * The access API, `/-/access/…`: asking for access, deciding on it, giving it back.
 */
import type { Access } from '../access/access.ts'
import type { AccessDocument, GrantDocument } from '../access/document.ts'
import type { AccessQuestion, Judge } from '../access/verdict.ts'
import { grantView, requestView } from '../access/views.ts'
import { type AccessRequestBody, accessRequestSchema, commentSchema } from '../contract/access.schema.ts'
import { StoreUnavailable } from '../contract/counters.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import { compileSchema, type Validate } from '../contract/schema.ts'
import { type EpochMs, parseDuration } from '../contract/units.ts'
import type { Instant } from '../policy/engine/engine.ts'
import { ACCESS_ENTRYPOINT } from '../policy/questions.ts'
import type { Revision } from '../policy/revision.ts'
import { withoutLoneSurrogates } from '../policy/values/well-formed.ts'
import { holds, isOwn, mayHaveASay, notForThat, refuseBeyond, refuseForeign } from './access-rights.ts'
import type { Asker } from './question.ts'
import { instantOf } from './question.ts'
import type { Visit } from './visit.ts'
import { createWaits } from './waits.ts'

export interface AccessApi {
  /** @throws GatewayError `not_found`, `invalid_request`, `forbidden`, `conflict`, `audit_unavailable` */
  answer(visit: Visit, facts: RequestFacts, asker: Asker, body: RequestBody | undefined): Promise<OwnAnswer>
  /** Answers everybody who waits for a decision, now and from now on: the gateway is stopping. */
  endWaits(): void
}

export type OwnAnswer =
  | {
      readonly status: number
      /** JSON. */
      readonly text: string
    }
  /** Told one after the other, as server-sent events. */
  | { readonly events: AsyncIterable<object> }

export interface AccessApiNeeds {
  readonly access: Access
  now(): EpochMs
  /** Calls once, after so many milliseconds, unless it is closed before. */
  after(ms: number, work: () => void): { close(): void }
  /** Counts the calls of each principal. */
  readonly calls: CallCount
  /** When the policy's source was last seen to be what is in force. */
  confirmedAt(): EpochMs | undefined
  /** A credential that is worth this grant alone. */
  mint(document: AccessDocument, grant: GrantDocument): Promise<string>
}

interface CallCount {
  /** @returns Seconds to wait, after too many. */
  count(principal: string): Promise<number | undefined>
}

const validateRequest = compileSchema(accessRequestSchema)
const validateComment = compileSchema(commentSchema)

const LONGEST_WAIT_MS = 300_000
/** Of the requests of others, the latest so many are looked through. */
const MOST_LISTED = 1000

export function createAccessApi(needs: AccessApiNeeds): AccessApi {
  const { access, now } = needs
  const { desk, directory } = access

  const waits = createWaits({ changed: access.changed, after: needs.after })

  /** Held back until it is no longer pending, for as long as the caller would wait. */
  async function request(id: string, { visit, asker, judge, facts }: Call): Promise<object> {
    await visible(id, asker.principal, judge)
    const wait = waits.begin(id, waitOf(facts) ?? 0, visit)
    try {
      for (;;) {
        const change = wait.change()
        const document = await visible(id, asker.principal, judge)
        if (wait.over() || document.state !== 'pending') return await shown(document, asker.principal)
        await change
      }
    } finally {
      wait.close()
    }
  }

  /** As it is, and again with each change, until it is no longer pending. */
  async function* changes(id: string, { visit, asker, judge, facts }: Call): AsyncGenerator<object> {
    const wait = waits.begin(id, waitOf(facts) ?? LONGEST_WAIT_MS, visit)
    try {
      for (;;) {
        const change = wait.change()
        const document = await visible(id, asker.principal, judge)
        yield shown(document, asker.principal)
        if (wait.over() || document.state !== 'pending') return
        await change
      }
    } finally {
      wait.close()
    }
  }

  function decides(document: AccessDocument, principal: Principal, judge: Judge): boolean {
    return mayHaveASay(principal) && desk.mayDecide(document, principal, judge)
  }

  async function visible(id: string, principal: Principal, judge: Judge): Promise<AccessDocument> {
    const document = await desk.find(id)
    if (document && (isOwn(document, principal) || decides(document, principal, judge))) return document
    throw notFound()
  }

  async function shown(document: AccessDocument, principal: Principal): Promise<object> {
    return requestView(document, now(), await tokenOf(document, principal))
  }

  async function tokenOf(document: AccessDocument, principal: Principal): Promise<string | null> {
    if (document.token !== 'wanted' || !isOwn(document, principal)) return null
    if (!document.grant) return null
    // First made and then taken: one that cannot be made is not lost.
    const token = await needs.mint(document, document.grant)
    return (await desk.takeToken(document.id, principal.id)) ? token : null
  }

  /** @throws StoreUnavailable where an empty list could be a wrong one. */
  function all(): AccessDocument[] {
    if (!directory.isRead()) throw new StoreUnavailable('it was not read yet')
    return directory.all().map(({ value }) => value)
  }

  async function requests({ asker: { principal }, judge }: Call): Promise<object> {
    const documents = latest(all()).filter(
      document => isOwn(document, principal) || decides(document, principal, judge),
    )
    return { requests: documents.map(document => requestView(document, now())) }
  }

  async function grants({ asker: { principal }, judge, facts }: Call): Promise<object> {
    const ofOthers = new URLSearchParams(facts.search).get('all') === 'true'
    const documents = latest(all()).filter(
      document =>
        document.grant &&
        (holds(document.grant, document, principal) || (ofOthers && decides(document, principal, judge))),
    )
    const at = now()
    return { grants: documents.map(document => grantView(document, document.grant as GrantDocument, at)) }
  }

  async function ask({ asker: { principal }, judge, body }: Call): Promise<object> {
    const asked = read<AccessRequestBody>(body, validateRequest)
    refuseBeyond(principal, asked)
    return shown(await desk.ask(principal, asked, judge), principal)
  }

  async function decide(id: string, word: 'approve' | 'deny', call: Call): Promise<object> {
    const { principal } = call.asker
    if (!mayHaveASay(principal)) throw notForThat()
    return requestView(await desk[word](id, principal, commentIn(call.body), call.judge), now())
  }

  async function end(id: string, { asker: { principal }, judge, body }: Call): Promise<object> {
    const known = directory.ofGrant(id)?.value
    if (known && !isOwn(known, principal) && !mayHaveASay(principal)) throw notForThat()
    const document = await desk.end(id, principal, commentIn(body), judge)
    return grantView(document, document.grant as GrantDocument, now())
  }

  function latest(documents: readonly AccessDocument[]): AccessDocument[] {
    return [...documents]
      .sort((one, other) => other.createdAt - one.createdAt || (one.id < other.id ? 1 : -1))
      .slice(0, MOST_LISTED)
  }

  return {
    async answer(visit, facts, asker, body) {
      if (!asker.principal.authenticated) {
        throw new GatewayError('unauthenticated', 'nobody in particular asks for access')
      }
      const restSeconds = await needs.calls.count(asker.principal.id)
      if (restSeconds !== undefined) throw tooMany(restSeconds)
      const judge = judgeOf(asker.revision, instantOf(visit), ageAt(visit.now, needs.confirmedAt()))
      const call: Call = { visit, facts, asker, body, judge }
      const [, , kind, id, word, ...rest] = facts.segments
      const route = `${facts.method} ${kind}${id === undefined ? '' : '/ID'}${word === undefined ? '' : `/${word}`}`
      refuseForeign(asker.principal, route, id)
      const answer = async (text: Promise<object>, status = 200): Promise<OwnAnswer> => ({
        status,
        text: JSON.stringify(await text),
      })
      if (rest.length === 0 && facts.segments.length >= 3) {
        if (route === 'POST requests') return answer(ask(call), 201)
        if (route === 'GET requests') return answer(requests(call))
        if (route === 'GET requests/ID' && wantsEvents(facts)) return { events: changes(id as string, call) }
        if (route === 'GET requests/ID') return answer(request(id as string, call))
        if (route === 'POST requests/ID/approve') return answer(decide(id as string, 'approve', call))
        if (route === 'POST requests/ID/deny') return answer(decide(id as string, 'deny', call))
        if (route === 'GET grants') return answer(grants(call))
        if (route === 'DELETE grants/ID') return answer(end(id as string, call))
      }
      throw notFound()
    },
    endWaits: waits.end,
  }
}

interface Call {
  readonly visit: Visit
  readonly facts: RequestFacts
  readonly asker: Asker
  readonly body: RequestBody | undefined
  readonly judge: Judge
}

/** The policy of one moment, asked about access. */
export function judgeOf(revision: Revision, instant: Instant, ageSeconds: number): Judge {
  return {
    ask(question: AccessQuestion) {
      const known = { ...question, policy: { revision: revision.id, age_seconds: ageSeconds } }
      const text = `${JSON.stringify(known).slice(0, -1)},"time":{"now_ns":${instant.nowNs}}}`
      return revision.ask(ACCESS_ENTRYPOINT, withoutLoneSurrogates(text), instant)
    },
  }
}

export function ageAt(now: EpochMs, confirmedAt: EpochMs | undefined): number {
  return Math.max(0, Math.floor((now - (confirmedAt ?? now)) / 1000))
}

function wantsEvents({ headers }: RequestFacts): boolean {
  return headers.get('accept')?.includes('text/event-stream') ?? false
}

function waitOf({ search }: RequestFacts): number | undefined {
  const wait = new URLSearchParams(search).get('wait')
  if (wait === null) return undefined
  try {
    return Math.min(parseDuration(wait), LONGEST_WAIT_MS)
  } catch {
    throw invalid('wait is not a duration such as 30s')
  }
}

function commentIn(body: RequestBody | undefined): string | null {
  if (body === undefined) return null
  return read<{ comment?: string }>(body, validateComment).comment?.toWellFormed() ?? null
}

function read<T>(body: RequestBody | undefined, validate: Validate): T {
  const [problem] = validate(body?.value)
  if (!problem) return body?.value as T
  const extra = problem.params.additionalProperty
  const what = extra === undefined ? problem.message : `has an unknown key ${JSON.stringify(extra)}`
  throw invalid(`${problem.pointer || 'The body'} ${what}`)
}

function tooMany(retryAfterSeconds: number): GatewayError {
  return new GatewayError('rate_limited', 'too many calls under /-/access', { retryAfterSeconds })
}

function notFound(): GatewayError {
  return new GatewayError('not_found', 'no such call, request or grant')
}

function invalid(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}
