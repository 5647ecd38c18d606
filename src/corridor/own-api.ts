/**
 * What the gateway answers itself under `/-/`: who the caller is, what would be decided, and access on
 * request.
 * Nothing under `/-/` is ever forwarded.
 */
import { GatewayError } from '../contract/errors.ts'
import type { RequestBody, RequestFacts } from '../contract/request.ts'
import { compileSchema } from '../contract/schema.ts'
import type { EpochMs } from '../contract/units.ts'
import { claimsOf } from '../limits/admit.ts'
import { type Claim, type Ledger, nameOf, type Standing } from '../limits/ledger.ts'
import { imaginedFacts } from '../server/intake.ts'
import { parseBody } from '../server/strict-json.ts'
import type { Pools } from '../upstreams/pools.ts'
import { route } from '../upstreams/route.ts'
import type { AccessApi, OwnAnswer } from './access-api.ts'
import type { Asker, Questions } from './question.ts'
import { inScope, OUT_OF_SCOPE } from './scope.ts'
import type { Visit } from './visit.ts'

export interface OwnApi {
  /** @throws GatewayError `not_found`, `invalid_request`, and as the access API does */
  answer(visit: Visit, facts: RequestFacts, asker: Asker, body: RequestBody | undefined): Promise<OwnAnswer>
  /** Remembers which limits a revision of the policy named for a principal. */
  remember(principal: string, claims: readonly Claim[], revision: string): void
  /** What was named lately for a principal. */
  named(principal: string): NamedLimits | undefined
  /** How the limits stand that the policy named lately, each once. */
  standings(now: EpochMs): readonly Standing[] | Promise<readonly Standing[]>
}

/** What one revision of the policy named for one principal. */
export interface NamedLimits {
  readonly revision: string
  readonly claims: readonly Claim[]
}

export interface OwnApiNeeds {
  /** Where others serve the same callers: what was named there. */
  namedElsewhere?(principal: string): Promise<readonly NamedLimits[]>
  readonly ledger: Ledger
  readonly pools: Pools
  readonly questions: Questions
  readonly accessApi: AccessApi
}

export function isOwn(facts: RequestFacts): boolean {
  return facts.segments[0] === '-'
}

const validateAuthorize = compileSchema({
  type: 'object',
  additionalProperties: false,
  properties: {
    method: { type: 'string', pattern: '^[A-Z]+$' },
    path: { type: 'string' },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    body: {},
  },
})

/** Principals whose latest limits are remembered, and of each so many. */
const MOST_REMEMBERED = 10_000
const MOST_LIMITS = 100

/** The limits that one revision named for one principal, by counter; the latest comes last. */
interface Named {
  readonly revision: string
  readonly claims: Map<string, Claim>
  /** Those that came last, which stand last. */
  newest: readonly Claim[]
}

export function createOwnApi(needs: OwnApiNeeds): OwnApi {
  const { ledger, pools, questions, accessApi } = needs
  const latest = new Map<string, Named>()

  function named(principal: string): NamedLimits | undefined {
    const known = latest.get(principal)
    return known && { revision: known.revision, claims: [...known.claims.values()] }
  }

  /** What the policy in force named, wherever it was asked; where nothing is known of it, what was named here before. */
  async function namedFor({ principal, revision }: Asker): Promise<readonly Claim[]> {
    const here = named(principal.id)
    const all = [...((await needs.namedElsewhere?.(principal.id)) ?? []), ...(here ? [here] : [])]
    const ofThis = all.filter(one => one.revision === revision.id)
    const claims = (ofThis.length > 0 ? ofThis : all.slice(-1)).flatMap(one => one.claims)
    return [...new Map(claims.map(claim => [nameOf(claim), claim])).values()]
  }

  async function whoami(visit: Visit, asker: Asker): Promise<object> {
    const { principal, grants } = asker
    const standings = await ledger.look(await namedFor(asker), visit.now)
    return { principal, grants: grants.map(({ facts }) => facts), limits: standings.map(shown) }
  }

  async function authorize(visit: Visit, asker: Asker, asked: RequestBody | undefined): Promise<object> {
    const [problem] = validateAuthorize(asked?.value)
    if (problem) throw invalid(`${problem.pointer || 'The body'} ${problem.message}`)
    const { method, path, headers } = (asked?.value ?? {}) as {
      method?: string
      path?: string
      headers?: Record<string, string>
    }
    const facts = imaginedFacts(visit.facts as RequestFacts, {
      method: method ?? 'POST',
      target: path ?? '/v1/chat/completions',
      headers: headers ?? {},
    })
    const description = questions.describe(visit, asker, facts, imaginedBody(asked))
    const { reasons: _, ...decision } = inScope(asker.principal, facts, description.model)
      ? questions.decide(visit, asker, description).decision
      : OUT_OF_SCOPE
    const standings = await ledger.look(claimsOf(decision.limits ?? []), visit.now)
    const model = decision.rewrite?.model ?? description.model
    return {
      decision,
      limits: standings.map(shown),
      pool: decision.allow ? poolFor() : null,
    }

    function poolFor(): string | null {
      try {
        return route(decision, model, pools)[0].name
      } catch {
        return null
      }
    }
  }

  return {
    async answer(visit, facts, asker, body) {
      const call = `${facts.method} ${facts.path}`
      if (call === 'GET /-/whoami') return { status: 200, text: JSON.stringify(await whoami(visit, asker)) }
      if (call === 'POST /-/authorize') {
        return { status: 200, text: JSON.stringify(await authorize(visit, asker, body)) }
      }
      if (facts.segments[1] === 'access') return accessApi.answer(visit, facts, asker, body)
      throw new GatewayError('not_found', 'no such call of the gateway itself')
    },
    remember(principal, claims, revision) {
      if (claims.length === 0) return
      const known = latest.get(principal)
      if (known?.newest === claims && known.revision === revision) return
      const named: Named =
        known?.revision === revision ? known : { revision, claims: new Map(), newest: claims }
      named.newest = claims
      for (const claim of claims) {
        const name = nameOf(claim)
        named.claims.delete(name)
        named.claims.set(name, claim)
      }
      for (const name of named.claims.keys()) {
        if (named.claims.size <= MOST_LIMITS) break
        named.claims.delete(name)
      }
      if (named === known) return
      if (latest.size >= MOST_REMEMBERED) latest.clear()
      latest.set(principal, named)
    },
    named,
    standings(now) {
      const claims = new Map<string, Claim>()
      for (const named of latest.values()) {
        for (const [name, claim] of named.claims) claims.set(name, claim)
      }
      return ledger.look([...claims.values()], now)
    },
  }
}

/** The text as it came, so that numbers keep their digits. */
function imaginedBody(asked: RequestBody | undefined): RequestBody | undefined {
  const place = asked?.members.get('body')
  const text = place && asked?.text.slice(place.start, place.end).trim()
  return text === undefined || text === 'null' ? undefined : parseBody(Buffer.from(text))
}

function shown({ claim, remaining, resetsAt }: Standing): object {
  return {
    name: claim.name,
    unit: claim.unit,
    limit: claim.limit,
    remaining,
    resets_at: resetsAt === undefined ? null : new Date(resetsAt).toISOString(),
  }
}

function invalid(title: string): GatewayError {
  return new GatewayError('invalid_request', title, { title })
}
