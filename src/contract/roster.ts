/**
 * Roster: a set of what comes and goes with every request.
 *
 * A Set makes a new table every so many changes, and the old one, where it has been moved to old memory,
 * keeps all alive that the new one ever holds: under load, whole requests until the next full collection.
 * This one has a single list, in which nothing stays behind.
 */
export interface Rostered {
  /** Where it stands; the roster's own. Undefined while it is on none. */
  seat?: number | undefined
}

/** What is on one roster is on no other. */
export class Roster<T extends Rostered> implements Iterable<T> {
  readonly #seats: (T | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  has(item: T): boolean {
    return item.seat !== undefined
  }

  /** Does nothing for what is on it. */
  add(item: T): void {
    if (item.seat !== undefined) return
    item.seat = this.#size
    this.#seats[this.#size++] = item
  }

  /** Does nothing for what is not on it. */
  delete(item: T): void {
    const { seat } = item
    if (seat === undefined) return
    item.seat = undefined
    const last = this.#seats[--this.#size] as T
    // Emptied, not cut off: a list that shrinks and grows again leaves old ones behind.
    this.#seats[this.#size] = undefined
    if (last === item) return
    this.#seats[seat] = last
    last.seat = seat
  }

  /** Those that are on it now, in no order; what comes or goes meanwhile changes nothing. */
  [Symbol.iterator](): Iterator<T> {
    return (this.#seats.slice(0, this.#size) as T[])[Symbol.iterator]()
  }
}
