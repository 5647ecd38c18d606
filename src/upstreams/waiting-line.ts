/**
 * A waiting line: higher priorities first, and within one priority the principals take turns, so that
 * none can starve another, however many requests it sends.
 *
 * A priority below zero is sheddable: when the line is full it makes way for a higher one. A principal
 * that fills the line makes way, too, for one that has less in it.
 */
export interface Waiter {
  readonly principal: string
  readonly priority: number
}

export interface WaitingLine<W extends Waiter> {
  size(): number
  /** @returns Who has to leave for it, which may be itself; undefined when there was room. */
  join(waiter: W): W | undefined
  leave(waiter: W): void
  /** The first of each principal, in the order in which they are to be served. */
  heads(): Iterable<W>
  /** Of the highest priority that waits so many, in the order in which they are to be served. */
  next(most: number): readonly W[]
  /** Takes out one that is served: its principal has had its turn. */
  serve(waiter: W): void
  /** How many are served before a newcomer, at most. */
  ahead(newcomer: Waiter): number
}

/** By principal, in the order of their turns. */
type Level<W> = Map<string, W[]>

/** @param max - How many may wait; read at each arrival, as a config may change it. */
export function createWaitingLine<W extends Waiter>(max: () => number): WaitingLine<W> {
  /** Highest priority first. */
  let levels: { readonly priority: number; readonly turns: Level<W> }[] = []
  let size = 0

  function levelOf(priority: number): Level<W> {
    const at = levels.findIndex(level => level.priority <= priority)
    const found = levels[at]
    if (found?.priority === priority) return found.turns
    const made = { priority, turns: new Map<string, W[]>() }
    levels.splice(at < 0 ? levels.length : at, 0, made)
    return made.turns
  }

  function add(waiter: W): void {
    const level = levelOf(waiter.priority)
    const own = level.get(waiter.principal)
    if (own) own.push(waiter)
    else level.set(waiter.principal, [waiter])
    size++
  }

  function remove(waiter: W): W[] | undefined {
    const level = levels.find(({ priority }) => priority === waiter.priority)
    const own = level?.turns.get(waiter.principal)
    const at = own?.indexOf(waiter) ?? -1
    if (!level || !own || at < 0) return undefined
    own.splice(at, 1)
    size--
    if (own.length === 0) level.turns.delete(waiter.principal)
    if (level.turns.size === 0) levels = levels.filter(other => other !== level)
    return own
  }

  function countOf(principal: string): number {
    return levels.reduce((sum, { turns }) => sum + (turns.get(principal)?.length ?? 0), 0)
  }

  /** The latest of the principal that has most in the lowest level that makes way for this priority. */
  function sheddableBelow(priority: number): W | undefined {
    const lowest = levels.at(-1)
    if (!lowest || lowest.priority >= 0 || lowest.priority >= priority) return undefined
    return longest(lowest.turns)?.at(-1)
  }

  /** The latest of a principal that has more in the line than the newcomer would have, at its priority or below. */
  function crowder(newcomer: W): W | undefined {
    const own = countOf(newcomer.principal)
    for (const { priority, turns } of levels.toReversed()) {
      if (priority > newcomer.priority) return undefined
      const most = longest(turns)
      if (most && most.length > own + 1 && most[0]?.principal !== newcomer.principal) return most.at(-1)
    }
    return undefined
  }

  return {
    size: () => size,
    join(waiter) {
      if (size < max()) {
        add(waiter)
        return undefined
      }
      const leaver = max() === 0 ? undefined : (sheddableBelow(waiter.priority) ?? crowder(waiter))
      if (!leaver) return waiter
      remove(leaver)
      add(waiter)
      return leaver
    },
    leave: waiter => void remove(waiter),
    *heads() {
      for (const { turns } of [...levels]) for (const [first] of [...turns.values()]) if (first) yield first
    },
    next(most) {
      const turns = [...(levels[0]?.turns.values() ?? [])]
      const found: W[] = []
      for (let round = 0; found.length < most; round++) {
        const before = found.length
        for (const waiting of turns) {
          const one = waiting[round]
          if (one && found.length < most) found.push(one)
        }
        if (found.length === before) break
      }
      return found
    },
    serve(waiter) {
      const left = remove(waiter)
      if (!left || left.length === 0) return
      const level = levelOf(waiter.priority)
      level.delete(waiter.principal)
      level.set(waiter.principal, left)
    },
    ahead({ principal, priority }) {
      let ahead = 0
      for (const level of levels) {
        if (level.priority < priority) break
        const own = level.turns.get(principal)?.length ?? 0
        for (const waiting of level.turns.values())
          ahead += level.priority > priority ? waiting.length : Math.min(waiting.length, own + 1)
      }
      return ahead
    },
  }
}

function longest<W>(turns: Level<W>): readonly W[] | undefined {
  let most: readonly W[] | undefined
  for (const waiting of turns.values()) if (!most || waiting.length >= most.length) most = waiting
  return most
}
