/**
 * A worker's share of slots: what was dealt out to it, what it wants, and what it gives back.
 */
import type { Recall } from './messages.ts'

/** A target, as far as slots go. */
export interface SharedTarget {
  /** Undefined: it has no limit. */
  readonly slots: number | undefined
  readonly state: SharedState
}

export interface SharedState {
  readonly url: string
  readonly inFlight: number
  allowance: number
}

export interface ShareHolder {
  follow(pools: readonly { readonly targets: readonly SharedTarget[] }[]): void
  seek(targets: readonly SharedTarget[]): Promise<void>
  rest(targets: readonly SharedTarget[]): void
  left(state: SharedState, wanted: boolean): void
  /** So many more are ours. */
  allowed(url: string, slots: number): void
  /** @returns How many are given back at once. */
  recall(order: Recall): number
  keep(url: string): void
}

export interface ShareHolderNeeds {
  /** What there is to begin with, by target. */
  readonly slots: Readonly<Record<string, number>>
  /** @returns When others have given what they can spare. */
  seek(urls: readonly string[]): Promise<void>
  rest(urls: readonly string[]): void
  gave(url: string, slots: number): void
}

export function createShareHolder(needs: ShareHolderNeeds): ShareHolder {
  const dealt = new Map(Object.entries(needs.slots))
  let states = new Map<string, SharedState>()
  const hungry = new Set<string>()
  /** By target, what is above it is given back as it comes free. */
  const recalled = new Map<string, number>()
  let seeking = 0

  function change(url: string, by: number): void {
    const slots = (dealt.get(url) ?? 0) + by
    dealt.set(url, slots)
    const state = states.get(url)
    if (state) state.allowance = slots
  }

  const limitedIn = (targets: readonly SharedTarget[]): string[] =>
    targets.filter(({ slots }) => slots !== undefined).map(({ state }) => state.url)

  return {
    follow(pools) {
      const limited = pools.flatMap(({ targets }) => targets.filter(({ slots }) => slots !== undefined))
      states = new Map(limited.map(({ state }) => [state.url, state]))
      for (const url of dealt.keys()) if (!states.has(url)) dealt.delete(url)
      for (const [url, state] of states) state.allowance = dealt.get(url) ?? 0
    },
    async seek(targets) {
      const urls = limitedIn(targets)
      if (urls.length === 0) return
      for (const url of urls) hungry.add(url)
      seeking++
      // A primary that does not answer is gone, and this worker with it.
      await needs.seek(urls).catch(() => {})
      seeking--
    },
    rest(targets) {
      // Somebody else still asks, and says when it is over.
      if (seeking > 0) return
      const urls = limitedIn(targets).filter(url => hungry.delete(url))
      if (urls.length > 0) needs.rest(urls)
    },
    left({ url }, wanted) {
      const fair = recalled.get(url)
      if (fair === undefined || (wanted && (dealt.get(url) ?? 0) <= fair)) return
      if ((dealt.get(url) ?? 0) <= 0) return
      change(url, -1)
      needs.gave(url, 1)
    },
    allowed: change,
    recall({ url, fair }) {
      recalled.set(url, fair)
      const idle = Math.max(0, (dealt.get(url) ?? 0) - (states.get(url)?.inFlight ?? 0))
      if (idle > 0) change(url, -idle)
      return idle
    },
    keep: url => void recalled.delete(url),
  }
}
