/**
 * Shares: what one gateway of several lets through by itself while their store is away. Each has an
 * equal part of every limit on concurrency, and of what was left of a window when the store last
 * told it so. What others have used since then it cannot know.
 */
import type { Bill, Count, Order } from '../contract/counters.ts'
import type { EpochMs } from '../contract/units.ts'
import {
  type Amounts,
  type Claim,
  createLedger,
  NOTHING,
  nameOf,
  type Reservation,
  type Standing,
  type Taking,
} from './ledger.ts'
import { billsOf, type SharedLedger } from './shared-ledger.ts'

export interface Shares {
  take(claims: readonly Claim[], amounts: Amounts, now: EpochMs): Taking
  look(claims: readonly Claim[], now: EpochMs): readonly Standing[]
  noticed(order: Order, counts: readonly Count[]): void
  /** Whether something was let through that the store does not know of. */
  owing(): boolean
  /** Charges it. @throws StoreUnavailable; then what is left is still owed. */
  charge(now: EpochMs): Promise<void>
}

export interface SharesNeeds {
  readonly shared: Pick<SharedLedger, 'charge' | 'settle' | 'held'>
  newId(): string
  gateways(): number
}

/** Counters whose standing is remembered; of others nothing is known to be used. */
const MOST_REMEMBERED = 50_000

interface Owed {
  readonly order: Order
  /** The store may know of it already, so it stays an order of its own. */
  tried: boolean
  /** What was used in the end; undefined while it runs. */
  differences: readonly number[] | undefined
  /** Called when it ends, once the store knows of it. */
  onEnd: ((differences: readonly number[]) => void) | undefined
}

export function createShares({ shared, newId, gateways }: SharesNeeds): Shares {
  let ledger = createLedger()
  const seen = new Map<string, Count>()
  const owed = new Set<Owed>()
  /** What has ended, and the counters that it is charged to. */
  let ended = createLedger()
  /** When a request came last: what ends is charged then, rather later than it was. */
  let latest: EpochMs = 0
  const sums = new Map<string, Bill>()
  /** Sums that the store may know of already. */
  let pending: Order | undefined

  function shareOf(claim: Claim, now: EpochMs): Claim {
    const name = nameOf(claim)
    const count = seen.get(name)
    const used = count && now < (count.endsAt ?? 0) ? count.used : 0
    const share = Math.max(0, claim.limit - used) / gateways() - shared.held(name)
    const whole = claim.unit === 'cost' ? share : Math.floor(share)
    return { ...claim, limit: Math.max(0, whole) }
  }

  function sumUp(claims: readonly Claim[], bills: readonly Bill[], used: Amounts): void {
    // A lease that has ended is nothing.
    const windows = claims.filter(({ window }) => window !== undefined)
    ended.take(
      windows.map(claim => ({ ...claim, observe: true })),
      used,
      latest,
    )
    for (const bill of bills) if (bill.endsAt !== undefined) sums.set(bill.name, bill)
  }

  function lend(claims: readonly Claim[], amounts: Amounts, now: EpochMs, local: Reservation): Reservation {
    const order = { id: newId(), bills: billsOf(claims, amounts, now), force: true }
    const debt: Owed = { order, tried: false, differences: undefined, onEnd: undefined }
    owed.add(debt)
    const units = order.bills.map(({ name }) => (claims.find(claim => nameOf(claim) === name) as Claim).unit)
    let open = true
    const settle = (used: Amounts): void => {
      if (!open) return
      open = false
      local.settle(used)
      const differences = units.map(unit => used[unit] - amounts[unit])
      if (debt.onEnd) debt.onEnd(differences)
      else if (debt.tried) debt.differences = differences
      else {
        owed.delete(debt)
        sumUp(claims, order.bills, used)
      }
    }
    return { standings: local.standings.map(asShare), settle, giveBack: () => settle(NOTHING) }
  }

  async function chargeRunning(debt: Owed, now: EpochMs): Promise<void> {
    debt.tried = true
    const taken = await shared.charge(debt.order, now)
    owed.delete(debt)
    const settle = (differences: readonly number[]): void => shared.settle(debt.order, taken, differences)
    if (debt.differences) settle(debt.differences)
    else debt.onEnd = settle
  }

  /** What has left its window since is not charged: nobody is to wait for it once more. */
  function billsOfEnded(now: EpochMs): Bill[] {
    const bills = [...sums.values()].map(bill => ({ ...bill, amount: ended.used(bill.name, now) }))
    sums.clear()
    ended = createLedger()
    return bills
  }

  async function chargeEnded(now: EpochMs): Promise<void> {
    const order = pending ?? { id: newId(), bills: billsOfEnded(now), force: true }
    pending = order
    const taken = await shared.charge(order, now)
    shared.settle(
      order,
      taken,
      order.bills.map(() => 0),
    )
    pending = undefined
  }

  return {
    take(claims, amounts, now) {
      latest = now
      const taking = ledger.take(
        claims.map(claim => shareOf(claim, now)),
        amounts,
        now,
      )
      if (!taking.taken)
        return {
          ...taking,
          refusedBy: asShare(taking.refusedBy),
          standings: taking.standings.map(asShare),
        }
      return { taken: true, reservation: lend(claims, amounts, now, taking.reservation) }
    },
    look: (claims, now) =>
      ledger
        .look(
          claims.map(claim => shareOf(claim, now)),
          now,
        )
        .map(asShare),
    noticed({ bills }, counts) {
      if (seen.size > MOST_REMEMBERED) seen.clear()
      bills.forEach(({ name, endsAt }, index) => {
        if (endsAt !== undefined) seen.set(name, counts[index] as Count)
      })
    },
    owing: () => owed.size > 0 || sums.size > 0 || pending !== undefined,
    async charge(now) {
      for (const debt of owed) await chargeRunning(debt, now)
      while (sums.size > 0 || pending) await chargeEnded(now)
      // The next time that the store is away begins with what it said last.
      ledger = createLedger()
    },
  }
}

function asShare(standing: Standing): Standing {
  return { ...standing, share: true }
}
