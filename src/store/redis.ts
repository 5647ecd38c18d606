/**
 * The store that several gateways share: Redis 7+ or Valkey.
 */
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { connectRedis } from './redis-client.ts'
import { createRedisCounters } from './redis-counters.ts'
import { PROBE } from './redis-scripts.ts'
import { createRedisShelf } from './redis-shelf.ts'
import { createRedisUsage } from './redis-usage.ts'
import type { Store, StoreStateListener } from './store.ts'

export interface RedisStoreNeeds {
  readonly url: string
  /** In front of every key, as their hash tag. */
  readonly prefix: string
  /** Milliseconds since the epoch. */
  now(): EpochMs
  /** This gateway, by a name that no other has. */
  readonly gateway: string
  readonly onState?: StoreStateListener
  /** Slower than this is away; unless told, a caller is told of it within a second. */
  readonly answerWithinMs?: number
}

const ANSWER_WITHIN_MS = 650

/** @returns Also when Redis is away: it is looked for until it is there. */
export async function openRedisStore({
  url,
  now,
  gateway,
  onState,
  answerWithinMs = ANSWER_WITHIN_MS,
  ...needs
}: RedisStoreNeeds): Promise<Store> {
  const client = await connectRedis({ url, answerWithinMs, onState })
  const prefix = `{${needs.prefix}}`
  // One that is full answers a ping, and takes nothing.
  client.beforeBack(async () => void (await client.run(PROBE, [`${prefix}:probe`], [])))
  const shelves = new Map<string, Shelf<unknown>>()
  const usage = createRedisUsage(client, { prefix, gateway })
  return {
    engine: 'redis',
    ok: client.ok,
    counters: createRedisCounters(client, { prefix, gateway }),
    usage,
    shelf<T>(name: string): Shelf<T> {
      const known = shelves.get(name)
      if (known) return known as Shelf<T>
      const shelf = createRedisShelf<T>(client, { prefix, name, now })
      shelves.set(name, shelf as Shelf<unknown>)
      return shelf
    },
    async close() {
      await usage.flush().catch(() => {})
      await client.close()
    },
  }
}
