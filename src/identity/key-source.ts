/**
 * A source of keys: what an issuer publishes, fetched when it is needed and not more often.
 *
 * Many who wait share one fetch. A key that is not known leads to a fetch at once, but not to
 * another one within the floor. While the issuer is away the last good keys are kept, until a limit.
 */
import { GatewayError } from '../contract/errors.ts'
import type { EpochMs } from '../contract/units.ts'
import { type PublicJwk, readPublicKeys } from './public-keys.ts'

export interface KeySource {
  /** @throws GatewayError `identity_unavailable` when there are none, or they are too old. */
  keys(now: EpochMs): readonly PublicJwk[] | Promise<readonly PublicJwk[]>
  /**
   * For a token whose key is not among them.
   * @returns Keys that are newer than the request; undefined when it is too early to ask again.
   * @throws GatewayError `identity_unavailable` when the issuer does not answer.
   */
  newer(now: EpochMs): Promise<readonly PublicJwk[] | undefined>
  /** Reads them again now; what cannot be read changes nothing. */
  reload(): Promise<void>
}

export interface KeySourceNeeds {
  /** Said in the log and in refusals for the operator. */
  readonly name: string
  readonly freshMs: number
  readonly staleMs: number
  readonly floorMs: number
  /** @returns A key set or PEM. */
  read(): Promise<string>
  now(): EpochMs
  /** The keys are others than before. */
  onChange(): void
  onState(ok: boolean, cause?: unknown): void
}

export function createKeySource(needs: KeySourceNeeds): KeySource {
  const { name, freshMs, staleMs, floorMs, now } = needs
  let keys: readonly PublicJwk[] | undefined
  let text = ''
  /** When the reading began that gave the keys; when the last one began, and the last that a token led to. */
  let readAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let ledAt = Number.NEGATIVE_INFINITY
  let failure: unknown
  let flight: Promise<void> | undefined

  /** Never rejects: what went wrong is in `failure`. */
  function refresh(): Promise<void> {
    flight ??= read().finally(() => {
      flight = undefined
    })
    return flight
  }

  async function read(): Promise<void> {
    const at = now()
    triedAt = at
    const failedBefore = failure !== undefined
    try {
      const found = await needs.read()
      if (found !== text) {
        keys = readPublicKeys(found)
        text = found
        needs.onChange()
      }
      readAt = at
      failure = undefined
      if (failedBefore) needs.onState(true)
    } catch (cause) {
      failure = cause ?? new Error('failed')
      if (!failedBefore) needs.onState(false, cause)
    }
  }

  async function afterRefresh(at: EpochMs): Promise<readonly PublicJwk[]> {
    if (flight || failure === undefined || at - triedAt >= floorMs) await refresh()
    if (keys && at - readAt < staleMs) return keys
    throw unavailable()
  }

  function unavailable(): GatewayError {
    return new GatewayError('identity_unavailable', `no keys of ${name}: ${String(failure)}`, {
      cause: failure,
      retryAfterSeconds: floorMs / 1000,
    })
  }

  return {
    keys(at) {
      const age = at - readAt
      if (keys && age < freshMs) return keys
      if (keys && age < staleMs && failure !== undefined) {
        // The issuer is known to be away: nobody waits to hear that again.
        if (at - triedAt >= floorMs) void refresh()
        return keys
      }
      return afterRefresh(at)
    },
    async newer(at) {
      const before = keys
      if (!flight) {
        if (readAt >= at) return undefined
        if (at - ledAt < floorMs) {
          if (failure !== undefined) throw unavailable()
          return undefined
        }
        ledAt = at
      }
      await refresh()
      if (failure !== undefined) throw unavailable()
      return keys === before ? undefined : keys
    },
    async reload() {
      await flight
      await refresh()
    },
  }
}
