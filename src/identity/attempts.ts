/**
 * Failed attempts per address, before authentication, and whatever else is counted in the same way.
 * The one door of `rate-limiter-flexible`: one counter, one window, no refunds are just what it is for.
 */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

export interface FailedAttempts {
  /**
   * Counts one failed attempt.
   * @param group - An address, or the network that one caller holds.
   * @returns Seconds to wait when the group has failed too often, else undefined.
   */
  count(group: string): Promise<number | undefined>
  /** As `count`, counting nothing: whether the group has failed too often already. */
  wait(group: string): Promise<number | undefined>
}

/** @param windowMs - At most 2,147,483,647: a longer timer would fire at once. */
export function createFailedAttempts(limit: number, windowMs: number): FailedAttempts {
  const limiter = new RateLimiterMemory({ points: limit, duration: windowMs / 1000 })
  return {
    async count(group) {
      try {
        await limiter.consume(group)
        return undefined
      } catch (rejection) {
        // A refusal is a plain object and no Error; anything else is a fault.
        if (!(rejection instanceof RateLimiterRes)) throw rejection
        return Math.ceil(rejection.msBeforeNext / 1000)
      }
    },
    async wait(group) {
      const standing = await limiter.get(group)
      return standing && standing.consumedPoints >= limit
        ? Math.ceil(standing.msBeforeNext / 1000)
        : undefined
    },
  }
}
