/**
 * Opaque tokens: their server is asked what they are (RFC 7662), and its answer is remembered for a
 * short time, a negative one too. Many who wait for the same token share one request.
 *
 * A server that does not answer is a refusal that says so: a token that could not be asked about is
 * not a bad one.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { EpochMs } from '../contract/units.ts'
import { type Claims, isSecond } from './claims.ts'
import type { Asked, Known } from './identify.ts'
import type { AskProvider } from './provider.ts'
import { createRemembered } from './remembered.ts'

export interface IntrospectionRules {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  readonly authMethod: 'client_secret_basic' | 'client_secret_post'
  readonly cacheMs: number
  readonly timeoutMs: number
  /** Empty: whatever the server says. */
  readonly audience: readonly string[]
  readonly issuer: string | undefined
}

export interface Introspection {
  readonly known: Known
  /** @throws GatewayError `identity_unavailable` */
  ask(token: string, now: EpochMs): Promise<Principal | undefined>
}

export interface IntrospectionNeeds {
  readonly ask: AskProvider
  now(): EpochMs
  read(claims: Claims): Principal | undefined
  onState(ok: boolean, cause?: unknown): void
}

/** After a failure the server is left alone for so long. */
const PAUSE_MS = 1000
const BAD = 'bad'
/** Anybody can make up tokens that are bad: few are kept, and no long ones are asked about. */
const MOST_REMEMBERED = 2000
const LONGEST_TOKEN = 8192

export function createIntrospection(rules: IntrospectionRules, needs: IntrospectionNeeds): Introspection {
  const { url, cacheMs, timeoutMs } = rules
  const remembered = createRemembered<Principal | typeof BAD>(MOST_REMEMBERED)
  const flights = new Map<string, Promise<Principal | undefined>>()
  let failure: unknown
  let failedAt = Number.NEGATIVE_INFINITY

  async function introspect(token: string): Promise<Principal | undefined> {
    // The answer holds from when it was asked for, which may be later than its request came.
    const at = needs.now()
    if (failure !== undefined && at - failedAt < PAUSE_MS) throw unavailable()
    let claims: Claims
    try {
      claims = claimsIn(await needs.ask({ url, timeoutMs, ...requestFor(token, rules) }))
    } catch (cause) {
      if (failure === undefined) needs.onState(false, cause)
      failure = cause
      failedAt = needs.now()
      throw unavailable()
    }
    if (failure !== undefined) needs.onState(true)
    failure = undefined
    const principal = isGood(claims, rules, at) ? needs.read(claims) : undefined
    const ends = principal && typeof claims.exp === 'number' ? claims.exp * 1000 : Number.POSITIVE_INFINITY
    remembered.set(token, principal ?? BAD, Math.min(at + cacheMs, ends))
    return principal
  }

  function unavailable(): GatewayError {
    return new GatewayError('identity_unavailable', `introspection failed: ${String(failure)}`, {
      cause: failure,
      retryAfterSeconds: PAUSE_MS / 1000,
    })
  }

  return {
    known(token, now) {
      const found = remembered.get(token, now)
      return found === BAD ? undefined : found
    },
    async ask(token, now) {
      const found = remembered.get(token, now)
      if (found !== undefined) return found === BAD ? undefined : found
      let flight = flights.get(token)
      if (!flight) {
        flight = introspect(token).finally(() => flights.delete(token))
        flights.set(token, flight)
      }
      return flight
    },
  }
}

/** RFC 6750 §2.1; anything else was never issued, and is not sent to anybody. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

/** The first server that knows the token says whose it is. */
export function createIntrospectionMethod(servers: readonly Introspection[]): Asked {
  return (credential, now) =>
    credential.length <= LONGEST_TOKEN && TOKEN.test(credential)
      ? firstGood(servers, credential, now)
      : undefined
}

async function firstGood(
  servers: readonly Introspection[],
  token: string,
  now: EpochMs,
): Promise<Principal | undefined> {
  const answers = await Promise.allSettled(servers.map(server => server.ask(token, now)))
  for (const answer of answers) if (answer.status === 'fulfilled' && answer.value) return answer.value
  const failed = answers.find(answer => answer.status === 'rejected')
  if (failed) throw failed.reason
  return undefined
}

function requestFor(
  token: string,
  { clientId, clientSecret, authMethod }: IntrospectionRules,
): { form: Record<string, string>; headers?: Record<string, string> } {
  const form = { token, token_type_hint: 'access_token' }
  if (authMethod === 'client_secret_post')
    return { form: { ...form, client_id: clientId, client_secret: clientSecret } }
  const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
  return { form, headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } }
}

/** RFC 6749 §2.3.1: both are encoded as in a form before they are joined. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

function claimsIn(text: string): Claims {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || typeof (value as Claims).active !== 'boolean')
    throw new Error('the answer does not say whether the token is active')
  return value as Claims
}

function isGood(claims: Claims, { audience, issuer }: IntrospectionRules, now: EpochMs): boolean {
  const { active, exp, nbf, aud, iss } = claims
  const named = Array.isArray(aud) ? aud : [aud]
  return (
    active === true &&
    (exp === undefined || (isSecond(exp) && now < exp * 1000)) &&
    (nbf === undefined || (isSecond(nbf) && now >= nbf * 1000)) &&
    (issuer === undefined || iss === issuer) &&
    (audience.length === 0 || named.some(name => audience.includes(name as string)))
  )
}
