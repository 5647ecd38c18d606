/**
 * A ledger that is kept in a store: what the limits of a decision charge is one order, which the
 * store takes whole or not at all. While an order runs its leases are renewed; if the gateway dies
 * they end by themselves.
 */
import type { Bill, Count, Counted, Counters, Order, Taken } from '../contract/counters.ts'
import type { EpochMs } from '../contract/units.ts'
import { endOf, rollingMsOf } from './counter.ts'
import {
  type Amounts,
  type Claim,
  type Ledger,
  NOTHING,
  nameOf,
  type Reservation,
  type Standing,
  standing,
  type Taking,
} from './ledger.ts'

export interface SharedLedger extends Ledger {
  /**
   * Renews the leases of what runs here.
   * @returns How many gateways share the store. @throws StoreUnavailable
   */
  renew(now: EpochMs): number | Promise<number>
  /** Charges what was admitted without the store. @throws StoreUnavailable; then it may be tried again. */
  charge(order: Order, now: EpochMs): Promise<Taken>
  /** Settles an order once. */
  settle(order: Order, taken: Taken, differences: readonly number[]): void
  /** How many leases of a counter are held by what runs here. */
  held(counter: string): number
}

export interface SharedLedgerNeeds {
  readonly counters: Counters
  /** @returns What no other order of any gateway has. */
  newId(): string
  /** Told how counters stood when the store last said so. */
  onCounts?(order: Order, counts: readonly Count[]): void
}

export function createSharedLedger({ counters, newId, onCounts }: SharedLedgerNeeds): SharedLedger {
  /** Orders that run and hold leases. */
  const running = new Map<string, Order>()
  const leases = new Map<string, number>()

  function begin(order: Order): void {
    const names = leasesOf(order)
    if (names.length === 0) return
    running.set(order.id, order)
    for (const name of names) leases.set(name, (leases.get(name) ?? 0) + 1)
  }

  function end(order: Order): void {
    if (!running.delete(order.id)) return
    for (const name of leasesOf(order)) {
      const left = (leases.get(name) ?? 0) - 1
      if (left > 0) leases.set(name, left)
      else leases.delete(name)
    }
  }

  function settle(order: Order, taken: Taken, differences: readonly number[]): void {
    end(order)
    counters.settle(order, taken, differences)
  }

  function take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking | Promise<Taking> {
    if (claims.length === 0) return { taken: true, reservation: NOTHING_RESERVED }
    const order = { id: newId(), bills: billsOf(claims, amounts, now), force: false }
    const answer = counters.take(order, now)
    return answer instanceof Promise
      ? answer.then(taken => takingOf(claims, amounts, order, taken))
      : takingOf(claims, amounts, order, answer)
  }

  function takingOf(claims: readonly Claim[], amounts: Amounts, order: Order, taken: Taken): Taking {
    onCounts?.(order, taken.counts)
    const standings = standingsOf(claims, order.bills, taken.counts)
    if (taken.refusedBy !== undefined) {
      const { name, limit } = order.bills[taken.refusedBy] as Bill
      const refusing = claims.findIndex(
        claim => !claim.observe && claim.limit === limit && nameOf(claim) === name,
      )
      return {
        taken: false,
        refusedBy: standings[refusing] as Standing,
        standings,
        fitsAt: taken.fitsAt,
      }
    }
    begin(order)
    const units = unitsOf(claims, order.bills)
    let open = true
    const settleOnce = (used: Amounts): void => {
      if (!open) return
      open = false
      settle(
        order,
        taken,
        units.map(unit => used[unit] - amounts[unit]),
      )
    }
    return {
      taken: true,
      reservation: { standings, settle: settleOnce, giveBack: () => settleOnce(NOTHING) },
    }
  }

  return {
    take,
    settle,
    look(claims, now) {
      const bills = billsOf(claims, NOTHING, now)
      const answer = counters.look(bills, now)
      return answer instanceof Promise
        ? answer.then(counts => standingsOf(claims, bills, counts))
        : standingsOf(claims, bills, answer)
    },
    async charge(order, now) {
      const taken = await counters.take({ ...order, force: true }, now)
      onCounts?.(order, taken.counts)
      begin(order)
      return taken
    },
    renew: now => counters.renew([...running.values()], now),
    held: counter => leases.get(counter) ?? 0,
  }
}

const NOTHING_RESERVED: Reservation = { standings: [], settle: () => {}, giveBack: () => {} }

/** A counter that several claims name is charged once, and holds the tightest limit of them. */
export function billsOf(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Bill[] {
  const bills = new Map<string, Bill>()
  for (const claim of claims) {
    const name = nameOf(claim)
    const limit = claim.observe ? Number.POSITIVE_INFINITY : claim.limit
    const known = bills.get(name)
    if (known) bills.set(name, { ...known, limit: Math.min(known.limit, limit) })
    else bills.set(name, { ...countedOf(claim, name, now), limit, amount: amounts[claim.unit] })
  }
  return [...bills.values()]
}

function countedOf({ unit, window }: Claim, name: string, now: EpochMs): Counted {
  const leases = unit === 'concurrency' && window === undefined
  return { name, endsAt: leases ? undefined : endOf(window, now), rollingMs: rollingMsOf(window) }
}

function unitsOf(claims: readonly Claim[], bills: readonly Bill[]): Claim['unit'][] {
  return bills.map(({ name }) => (claims.find(claim => nameOf(claim) === name) as Claim).unit)
}

function standingsOf(
  claims: readonly Claim[],
  bills: readonly Bill[],
  counts: readonly Count[],
): readonly Standing[] {
  return claims.map(claim => {
    const name = nameOf(claim)
    const count = counts[bills.findIndex(bill => bill.name === name)] as Count
    const endsAt = count.endsAt === Number.POSITIVE_INFINITY ? undefined : count.endsAt
    return standing(claim, { used: count.used, endsAt })
  })
}

function leasesOf({ bills }: Order): string[] {
  return bills.flatMap(({ name, endsAt, amount }) => (endsAt === undefined && amount > 0 ? [name] : []))
}
