/**
 * Counters in Redis: an order is one round trip, and what follows it is sent off the path, in
 * batches, until it has arrived.
 */
import {
  type Bill,
  type Count,
  type Counted,
  type Counters,
  LEASE_MS,
  type Order,
  StoreUnavailable,
  type Taken,
} from '../contract/counters.ts'
import type { EpochMs } from '../contract/units.ts'
import type { RedisClient, RedisValue, Reply } from './redis-client.ts'
import { LOOK, RENEW, SETTLE, TAKE } from './redis-counter-scripts.ts'

/** Orders of a gateway that died are forgotten after this; what they reserved stays charged. */
const KEEP_ORDERS_S = 86_400
/** In one call of a script, so that Redis is never busy for long. */
const MOST_IN_A_BATCH = 200

interface Settlement {
  readonly order: Order
  readonly differences: readonly number[]
  readonly undo: boolean
}

export function createRedisCounters(
  client: RedisClient,
  { prefix, gateway }: { readonly prefix: string; readonly gateway: string },
): Counters {
  const orders = `${prefix}:orders:${gateway}`
  const gateways = `${prefix}:gateways`
  // Windows that roll are kept in another form, so under other names, than those of a window that ends at once.
  const keyOf = ({ name, rollingMs }: Counted): string =>
    `${prefix}:${rollingMs === undefined ? 'counter' : 'rolling'}:${name}`
  let waiting: Settlement[] = []
  let sending: Promise<void> | undefined

  function send(): Promise<void> {
    sending ??= sendAll().finally(() => {
      sending = undefined
    })
    return sending
  }

  /** A batch that may or may not have arrived is sent again: an order is settled once. */
  async function sendAll(): Promise<void> {
    // Those of one turn of the event loop go together.
    await new Promise(setImmediate)
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MOST_IN_A_BATCH)
      await sendBatch(batch)
      waiting = waiting.slice(batch.length)
    }
  }

  async function sendBatch(batch: readonly Settlement[]): Promise<void> {
    const keys = createKeys([orders])
    const values = batch.flatMap(({ order, differences, undo }): RedisValue[] => [
      order.id,
      undo ? 'undo' : '',
      order.bills.length,
      ...order.bills.flatMap((bill, index) => [keys.place(keyOf(bill)), differences[index] ?? 0]),
    ])
    await client.run(SETTLE, keys.all, values)
  }

  function settle(settlement: Settlement): void {
    waiting.push(settlement)
    // What does not arrive now is sent before Redis is asked anything else.
    if (client.ok()) send().catch(() => {})
  }

  client.beforeBack(async () => {
    await sending?.catch(() => {})
    await send()
  })

  return {
    async take(order, now) {
      const { id, bills, force } = order
      const values = [id, now, force ? 1 : 0, LEASE_MS, KEEP_ORDERS_S, ...bills.flatMap(billed)]
      if (!client.ok() && !force) throw new StoreUnavailable('Redis is away')
      try {
        const reply = await client.run(TAKE, [orders, ...bills.map(keyOf)], values)
        return takenOf(reply as readonly Reply[])
      } catch (error) {
        if (!force) settle({ order, differences: bills.map(({ amount }) => -amount), undo: true })
        throw error
      }
    },
    settle: (order, _taken, differences) => settle({ order, differences, undo: false }),
    async look(counters, now) {
      if (counters.length === 0) return []
      if (!client.ok()) throw new StoreUnavailable('Redis is away')
      const reply = await client.run(LOOK, counters.map(keyOf), [now, ...counters.flatMap(kindOf)])
      return countsOf(reply as readonly Reply[])
    },
    async renew(held) {
      const keys = createKeys([gateways, orders])
      const leases = held.flatMap(({ id, bills }) =>
        bills
          .filter(({ endsAt, amount }) => endsAt === undefined && amount > 0)
          .flatMap(bill => [keys.place(keyOf(bill)), id]),
      )
      return Number(await client.run(RENEW, keys.all, [gateway, LEASE_MS, KEEP_ORDERS_S, ...leases]))
    },
  }
}

/** Keys of one call, each once, by their place in `KEYS`. */
export function createKeys(first: readonly string[]) {
  const places = new Map(first.map((key, index) => [key, index + 1]))
  const all = [...first]
  return {
    all,
    place(key: string): number {
      const known = places.get(key)
      if (known !== undefined) return known
      places.set(key, all.push(key))
      return all.length
    },
  }
}

function billed(bill: Bill): RedisValue[] {
  const { amount, limit } = bill
  return [amount, Number.isFinite(limit) ? limit : 'none', ...kindOf(bill)]
}

/** How it is counted, and the length of a window that rolls. */
function kindOf({ endsAt, rollingMs }: Counted): [RedisValue, RedisValue] {
  if (rollingMs !== undefined) return ['rolls', rollingMs]
  if (endsAt === undefined) return ['lease', 0]
  return [Number.isFinite(endsAt) ? String(endsAt) : 'never', 0]
}

function takenOf(reply: readonly Reply[]): Taken {
  const [refused, fitsAt, ...counts] = reply
  return {
    refusedBy: refused === 0 ? undefined : Number(refused) - 1,
    counts: countsOf(counts),
    fitsAt: fitsAt === 'unknown' ? undefined : Number(fitsAt),
  }
}

function countsOf(reply: readonly Reply[]): Count[] {
  return Array.from({ length: reply.length / 2 }, (_, index) => {
    const ends = String(reply[index * 2 + 1])
    return { used: Number(reply[index * 2]), endsAt: ENDLESS.has(ends) ? ENDLESS.get(ends) : Number(ends) }
  })
}

const ENDLESS: ReadonlyMap<string, EpochMs | undefined> = new Map([
  ['lease', undefined],
  ['empty', undefined],
  ['never', Number.POSITIVE_INFINITY],
])
