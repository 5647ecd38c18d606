/**
 * The dealer of slots: of a target with so many, never more are dealt out to all workers together.
 *
 * Each worker begins with an equal share and sends by it without asking. Who wants more asks; the others
 * give back what nothing runs on, and while somebody still waits, also what comes free above a fair share.
 */
import type { Recall } from './messages.ts'

/** A worker, as the dealer reaches it. */
export interface Hand {
  allowed(url: string, slots: number): void
  recall(order: Recall): Promise<number>
  keep(url: string): void
}

export interface ShareDealer {
  /** @param slots - By target; those that are not named have no limit. */
  configure(slots: ReadonlyMap<string, number>): void
  /** @returns The newcomer's slots, by target. */
  join(worker: number, hand: Hand): Record<string, number>
  leave(worker: number): void
  /** @returns When others have given what they can spare now. */
  seek(worker: number, urls: readonly string[]): Promise<void>
  gave(worker: number, url: string, slots: number): void
  rest(worker: number, urls: readonly string[]): void
}

export interface ShareDealerNeeds {
  /** How many workers there are to be. */
  readonly workers: number
  /** Resolves after so many milliseconds. */
  after(ms: number): Promise<void>
}

interface Deal {
  readonly url: string
  limit: number
  readonly held: Map<number, number>
  /** Who waits, in the order in which they are next. */
  readonly hungry: Set<number>
  /** Who was asked to give back. */
  readonly recalled: Set<number>
}

/** A worker that is busy answers later; whoever seeks does not wait for it. */
const LONGEST_WAIT_MS = 50

export function createShareDealer({ workers, after }: ShareDealerNeeds): ShareDealer {
  const hands = new Map<number, Hand>()
  const deals = new Map<string, Deal>()

  const heldOf = ({ held }: Deal, worker: number): number => held.get(worker) ?? 0
  const freeOf = ({ limit, held }: Deal): number =>
    limit - [...held.values()].reduce((sum, slots) => sum + slots, 0)

  /** What is left over by equal shares goes to the first ones. */
  function shareOf({ limit }: Deal, worker: number): number {
    return Math.floor(limit / workers) + (worker <= limit % workers ? 1 : 0)
  }

  function topUp(deal: Deal, worker: number): number {
    const slots = Math.max(0, Math.min(freeOf(deal), shareOf(deal, worker) - heldOf(deal, worker)))
    if (slots > 0) deal.held.set(worker, heldOf(deal, worker) + slots)
    return slots
  }

  function grant(deal: Deal, worker: number): void {
    deal.held.set(worker, heldOf(deal, worker) + 1)
    // Who was served stands at the end again.
    if (deal.hungry.delete(worker)) deal.hungry.add(worker)
    hands.get(worker)?.allowed(deal.url, 1)
  }

  function feed(deal: Deal): void {
    for (let free = freeOf(deal); free > 0; free--) {
      const [next] = deal.hungry
      if (next === undefined) break
      grant(deal, next)
    }
    if (deal.hungry.size > 0 || freeOf(deal) < 0) {
      press(deal)
      return
    }
    for (const worker of deal.recalled) hands.get(worker)?.keep(deal.url)
    deal.recalled.clear()
  }

  /** While somebody waits, each other one who has something is to know it. */
  function press(deal: Deal): void {
    const isWanted = (worker: number): boolean => [...deal.hungry].some(other => other !== worker)
    const holders = [...hands].filter(([worker]) => heldOf(deal, worker) > 0 && !deal.recalled.has(worker))
    for (const [worker, hand] of holders) if (isWanted(worker)) void ask(deal, worker, hand)
  }

  async function ask(deal: Deal, worker: number, hand: Hand): Promise<void> {
    deal.recalled.add(worker)
    // One that is gone has given all back already.
    const slots = await hand.recall({ url: deal.url, fair: deal.limit / workers }).catch(() => 0)
    if (slots > 0 && hands.get(worker) === hand && deals.get(deal.url) === deal) takeBack(deal, worker, slots)
  }

  function takeBack(deal: Deal, worker: number, slots: number): void {
    deal.held.set(worker, Math.max(0, heldOf(deal, worker) - slots))
    feed(deal)
  }

  /** @param except - Who seeks. */
  async function recall(deal: Deal, except?: number): Promise<void> {
    const holders = [...hands].filter(([worker]) => worker !== except && heldOf(deal, worker) > 0)
    await Promise.all(holders.map(([worker, hand]) => ask(deal, worker, hand)))
  }

  return {
    configure(slots) {
      for (const url of deals.keys()) if (!slots.has(url)) deals.delete(url)
      for (const [url, limit] of slots) {
        const deal = deals.get(url) ?? { url, limit, held: new Map(), hungry: new Set(), recalled: new Set() }
        deals.set(url, deal)
        deal.limit = limit
        for (const [worker, hand] of hands) {
          const more = topUp(deal, worker)
          if (more > 0) hand.allowed(url, more)
        }
        if (freeOf(deal) < 0) void recall(deal)
        else feed(deal)
      }
    },
    join(worker, hand) {
      hands.set(worker, hand)
      return Object.fromEntries([...deals.values()].map(deal => [deal.url, topUp(deal, worker)]))
    },
    leave(worker) {
      hands.delete(worker)
      for (const deal of deals.values()) {
        deal.held.delete(worker)
        deal.hungry.delete(worker)
        deal.recalled.delete(worker)
        feed(deal)
      }
    },
    async seek(worker, urls) {
      const recalls: Promise<void>[] = []
      for (const url of urls) {
        const deal = deals.get(url)
        if (!deal || !hands.has(worker)) continue
        deal.hungry.add(worker)
        if (freeOf(deal) > 0) grant(deal, worker)
        else recalls.push(recall(deal, worker))
      }
      if (recalls.length > 0) await Promise.race([Promise.all(recalls), after(LONGEST_WAIT_MS)])
    },
    gave(worker, url, slots) {
      const deal = deals.get(url)
      if (deal) takeBack(deal, worker, slots)
    },
    rest(worker, urls) {
      for (const url of urls) {
        const deal = deals.get(url)
        if (deal?.hungry.delete(worker)) feed(deal)
      }
    },
  }
}
