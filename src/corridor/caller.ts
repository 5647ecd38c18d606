/**
 * The caller of a visit: identified, unless its address has failed too often to be worth the work.
 */
import { addressGroup } from '../contract/addresses.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { RequestFacts } from '../contract/request.ts'
import type { EpochMs } from '../contract/units.ts'
import type { FailedAttempts } from '../identity/attempts.ts'
import { identify, type Methods } from '../identity/identify.ts'

export interface CallerNeeds {
  readonly methods: Methods
  /** Undefined: failed attempts are not limited. */
  readonly attempts: FailedAttempts | undefined
}

/** @returns At once where nobody has to be asked. @throws GatewayError, also as a rejection: as `identify` does, and `rate_limited`. */
export function callerOf(
  facts: RequestFacts,
  now: EpochMs,
  { methods, attempts }: CallerNeeds,
): Principal | Promise<Principal> {
  const { headers, certificate } = facts
  const credentials = {
    authorization: headers.get('authorization'),
    'x-api-key': headers.get('x-api-key'),
    'api-key': headers.get('api-key'),
    certificate,
  }
  if (!attempts) return identify(credentials, now, methods, async () => {})
  const admitWork = async (): Promise<void> => {
    const wait = await attempts.wait(addressGroup(facts.clientIp))
    if (wait !== undefined) throw tooMany(wait)
  }
  const failed = async (error: unknown): Promise<never> => {
    if (!isFailedAttempt(error)) throw error
    const wait = await attempts.count(addressGroup(facts.clientIp))
    throw wait === undefined ? error : tooMany(wait, error)
  }
  try {
    const principal = identify(credentials, now, methods, admitWork)
    return principal instanceof Promise ? principal.catch(failed) : principal
  } catch (error) {
    return failed(error)
  }
}

/** A provider that is away is nobody's attempt. */
function isFailedAttempt(error: unknown): boolean {
  return error instanceof GatewayError && ['unauthenticated', 'invalid_request'].includes(error.code)
}

function tooMany(wait: number, cause?: unknown): GatewayError {
  return new GatewayError('rate_limited', 'too many failed attempts from this address', {
    cause,
    title: 'Too many failed attempts',
    retryAfterSeconds: wait,
  })
}
