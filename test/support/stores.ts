/** Every store there is, each opened anew and empty for a test. */
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from './folder.ts'
import { redisServer, startRedis, type TestRedis } from './redis.ts'

export interface StoreMaker {
  /** A store that holds nothing. */
  open(now: () => number): Promise<StorePlace>
  /** Whether what was written by one gateway is there for the next. */
  readonly shared: boolean
}

/** Where a store keeps what it keeps. */
export interface StorePlace {
  /** A gateway's own; the first one has been opened. */
  readonly store: Store
  /** Another gateway on the same place. */
  another(): Promise<Store>
}

/** Another Redis, or what is compatible with it, to run the same tests on. */
const { REDIS_URL } = process.env
let gateways = 0
const gatewayName = (): string => `gateway-${++gateways}`

/** To be called once, at the top of a test file: the Redis that it starts lives as long as its tests. */
export function everyStore(): Readonly<Record<string, StoreMaker>> {
  let redis: TestRedis | undefined
  const closing = async (opening: Promise<Store>): Promise<Store> => {
    const store = await opening
    onTestFinished(() => store.close())
    return store
  }
  const place = async (open: () => Promise<Store>): Promise<StorePlace> => ({
    store: await closing(open()),
    another: () => closing(open()),
  })
  const makers: Record<string, StoreMaker> = {
    memory: {
      shared: false,
      open: async now => {
        const store = createMemoryStore({ now })
        return { store, another: async () => store }
      },
    },
    sqlite: {
      shared: true,
      open(now) {
        const file = path.join(temporaryFolder(), 'store.db')
        return place(() => openSqliteStore({ path: file, now, gateway: gatewayName() }))
      },
    },
  }
  if (REDIS_URL === undefined && redisServer() === undefined) return makers
  beforeAll(async () => {
    if (REDIS_URL === undefined) redis = await startRedis({ cluster: true })
  })
  afterAll(() => redis?.stop('SIGKILL'))
  return {
    ...makers,
    redis: {
      shared: true,
      open(now) {
        const prefix = randomUUID()
        const url = REDIS_URL ?? (redis as TestRedis).url
        return place(() =>
          openRedisStore({ url, prefix, now, gateway: gatewayName(), answerWithinMs: 20_000 }),
        )
      },
    },
  }
}
