/**
 * Usage in Redis: a hash for each day, written in numbered batches, each of which counts once
 * however often it must be sent.
 */
import type { UsageBook, UsageRow } from '../contract/usage.ts'
import type { RedisClient, Reply } from './redis-client.ts'
import { createKeys } from './redis-counters.ts'
import { ADD_USAGE, DAYS, READ } from './redis-scripts.ts'
import { createUsageSums, rowName } from './usage-sums.ts'

export interface RedisUsage extends UsageBook {
  flush(): Promise<void>
}

const WRITE_EVERY_MS = 200

export function createRedisUsage(
  client: RedisClient,
  { prefix, gateway }: { readonly prefix: string; readonly gateway: string },
): RedisUsage {
  const waiting = createUsageSums()
  const days = `${prefix}:usage`
  const keyOf = (day: string): string => `${days}:${day}`
  let batch = 0
  let unsent: readonly UsageRow[] = []
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    sending ??= send().finally(() => {
      sending = undefined
    })
    return sending
  }

  async function send(): Promise<void> {
    if (unsent.length === 0) {
      unsent = waiting.drain()
      batch++
    }
    if (unsent.length === 0) return
    const keys = createKeys([`${prefix}:usage-batches`, days])
    const values = unsent.flatMap(row => [
      keys.place(keyOf(row.day)),
      row.day,
      rowName(row),
      row.requests,
      row.input_tokens,
      row.output_tokens,
      row.cost,
    ])
    await client.run(ADD_USAGE, keys.all, [gateway, batch, ...values])
    unsent = []
  }

  const flushLater = (): void => {
    timer ??= setTimeout(() => void flush().catch(() => flushLater()), WRITE_EVERY_MS).unref()
  }

  return {
    flush,
    add(rows) {
      waiting.add(rows)
      flushLater()
    },
    async since(day) {
      await flush()
      const all = (await client.run(DAYS, [days], [])) as readonly string[]
      const rows = await Promise.all(
        all
          .filter(known => known >= day)
          .map(async known => rowsOf((await client.run(READ, [keyOf(known)], [])) as readonly Reply[])),
      )
      return rows.flat()
    },
  }
}

const MEMBERS = ['requests', 'input_tokens', 'output_tokens', 'cost'] as const

/** @param reply - Of each sum its name with the place of the member, and the number. */
function rowsOf(reply: readonly Reply[]): UsageRow[] {
  const sums = createUsageSums()
  for (let at = 0; at < reply.length; at += 2) {
    const field = String(reply[at])
    const [day, principal, team, model] = JSON.parse(field.slice(0, -2))
    const member = MEMBERS[Number(field.at(-1))] as (typeof MEMBERS)[number]
    const none = { requests: 0, input_tokens: 0, output_tokens: 0, cost: 0 }
    sums.add([{ day, principal, team, model, ...none, [member]: Number(reply[at + 1]) }])
  }
  return sums.rows()
}
