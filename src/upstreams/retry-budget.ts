/**
 * Retry budget: of the live traffic of a pool, so much may be retries. When everything fails, retries
 * must not become the load that keeps it down.
 */
export interface RetryBudget {
  /** A request came. */
  count(): void
  /** @returns Whether there was room for a retry, which is then taken. */
  take(share: number): boolean
}

/** Traffic of the last spell, and of the one before it as far as it is not over. */
const SPELL_MS = 10_000
/** So many retries in a spell are always free: a share of little traffic would be none. */
const RESERVE = 10

export function createRetryBudget(now: () => number): RetryBudget {
  let began = now()
  let current = { requests: 0, retries: 0 }
  let before = { requests: 0, retries: 0 }

  function turn(): number {
    const passed = now() - began
    if (passed >= SPELL_MS) {
      before = passed < 2 * SPELL_MS ? current : { requests: 0, retries: 0 }
      current = { requests: 0, retries: 0 }
      began = now() - (passed % SPELL_MS)
    }
    return 1 - (now() - began) / SPELL_MS
  }

  return {
    count() {
      turn()
      current.requests++
    },
    take(share) {
      const left = turn()
      const requests = current.requests + before.requests * left
      const retries = current.retries + before.retries * left
      if (retries + 1 > RESERVE + requests * share) return false
      current.retries++
      return true
    },
  }
}
