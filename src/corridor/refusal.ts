/**
 * Refusal: whatever went wrong, in the voice for the caller and the voice for the operator.
 */
import { StoreUnavailable } from '../contract/counters.ts'
import type { Decision } from '../contract/decision.schema.ts'
import { GatewayError, PlainError, REFUSALS } from '../contract/errors.ts'
import { parseDuration } from '../contract/units.ts'
import type { PublicRefusal } from '../server/respond.ts'
import { ClientLeft } from '../upstreams/client-left.ts'

/** The policy said no; everything that the caller is told is in the decision. */
export class PolicyRefusal extends PlainError {
  override readonly name = 'PolicyRefusal'
  constructor(readonly decision: Decision) {
    super('refused by the policy')
  }
}

export interface Refusal {
  readonly told: PublicRefusal
  /** For the record; undefined where the decision says it all. */
  readonly error: string | undefined
}

/** @param error - Anything that was thrown on the corridor. What is not known to be fit for a caller is not told. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof ClientLeft) return { told: TOLD_NOBODY, error: undefined }
  if (error instanceof PolicyRefusal) return { told: toldByPolicy(error.decision), error: undefined }
  const known = error instanceof GatewayError ? error : faultOf(error)
  const { status, code, title, headers, retryAfterSeconds, message } = known
  return { told: { status, code, message: title, headers, retryAfterSeconds }, error: message }
}

/** Whether it is the gateway that is at fault, and its operator must see where. */
export function isFault(error: unknown): boolean {
  return ![GatewayError, PolicyRefusal, ClientLeft, StoreUnavailable].some(kind => error instanceof kind)
}

function faultOf(cause: unknown): GatewayError {
  return cause instanceof StoreUnavailable
    ? new GatewayError('overloaded', `the store does not answer: ${cause.message}`, {
        cause,
        retryAfterSeconds: 1,
      })
    : new GatewayError('policy_error', `a fault: ${String(cause)}`, { cause })
}

/** For the record: the status is nginx's for a client that closed the connection. */
const TOLD_NOBODY: PublicRefusal = {
  status: 499,
  code: 'client_closed',
  message: 'The client has left',
  headers: {},
  retryAfterSeconds: undefined,
}

function toldByPolicy(decision: Decision): PublicRefusal {
  const code = decision.code ?? 'forbidden'
  const status = decision.status ?? 403
  const title = Object.hasOwn(REFUSALS, code)
    ? REFUSALS[code as keyof typeof REFUSALS].title
    : REFUSALS.forbidden.title
  const way = wayToAsk(decision)
  return {
    status,
    code,
    message:
      decision.message ?? [title, way && `To ask for access: ${inWords(way)}`].filter(Boolean).join('. '),
    headers: status === 401 ? { 'www-authenticate': 'Bearer realm="sallyport"' } : {},
    retryAfterSeconds:
      decision.retry_after === undefined ? undefined : parseDuration(decision.retry_after) / 1000,
    extra:
      decision.access === undefined
        ? undefined
        : { access: decision.access, ...(way ? { access_request: way } : {}) },
  }
}

/** The request that would ask for what a grant would lift. */
interface WayToAsk {
  readonly method: 'POST'
  readonly path: string
  readonly body: {
    readonly models?: readonly string[]
    readonly roles?: readonly string[]
    readonly duration: string
    readonly reason: string
  }
}

function wayToAsk({ access }: Decision): WayToAsk | undefined {
  if (!access?.requestable) return undefined
  const { models = [], roles = [], max_duration = '1h' } = access
  const body = {
    ...(models.length > 0 ? { models } : {}),
    ...(roles.length > 0 ? { roles } : {}),
    duration: max_duration,
    reason: '…',
  }
  return { method: 'POST', path: '/-/access/requests', body }
}

/** An SDK shows the message and nothing else: where the policy has no words of its own the way is in it. */
function inWords({ method, path, body }: WayToAsk): string {
  const { models = [], roles = [], duration, reason } = body
  const flags = [
    ...(models.length > 0 ? [`--models ${models.join(',')}`] : []),
    ...(roles.length > 0 ? [`--roles ${roles.join(',')}`] : []),
  ]
  const command = ['sallyport access request', ...flags, `--duration ${duration} --reason ${reason}`].join(
    ' ',
  )
  return `${command}, or ${method} ${path} ${JSON.stringify(body)}.`
}
