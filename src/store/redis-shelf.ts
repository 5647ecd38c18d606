/**
 * A shelf in Redis. A message says only which document to look at again: what is read then, on one
 * connection and in order, is never older than what was read before.
 */
import type { Kept, Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { createFollowed, type Stamped } from './followed.ts'
import type { RedisClient, Reply } from './redis-client.ts'
import { READ, SWEEP, WRITE } from './redis-scripts.ts'

interface Written<T> {
  readonly version: number
  readonly stamp: number
  readonly keep_until: EpochMs | null
  readonly value: T
}

export function createRedisShelf<T>(
  client: RedisClient,
  { prefix, name, now }: { readonly prefix: string; readonly name: string; now(): EpochMs },
): Shelf<T> {
  const shelf = `${prefix}:shelf:${name}`
  const channel = `${prefix}:changed:${name}`
  const stamps = `${prefix}:stamps`
  const followed = createFollowed<T>()
  let subscribed = false

  async function read(id?: string): Promise<Stamped<T>[]> {
    const reply = (await client.run(READ, [shelf], id === undefined ? [] : [id])) as readonly Reply[]
    return Array.from({ length: reply.length / 2 }, (_, index) =>
      stamped<T>(String(reply[index * 2]), String(reply[index * 2 + 1])),
    ).filter(document => now() < document.keepUntil)
  }

  async function write(id: string, version: number, document: string): Promise<Reply> {
    const reply = await client.run(WRITE, [shelf, stamps], [id, version, document, channel, now()])
    if (reply !== null) await look(id)
    return reply
  }

  async function look(id: string | undefined): Promise<void> {
    if (!followed.watched()) return
    const documents = await read(id)
    if (id === undefined) followed.seeAll(documents)
    else followed.see(id, documents[0])
  }

  return {
    look,
    async get(id) {
      const [document] = await read(id)
      return document && kept(document)
    },
    async all() {
      return (await read()).map(kept)
    },
    async put(id, value, version, keepUntil) {
      const document = JSON.stringify({ keep_until: keepUntil ?? null, value })
      const reply = await write(id, version, document)
      if (keepUntil !== undefined) await client.run(SWEEP, [shelf], [now()])
      return reply === null ? undefined : kept(stamped<T>(id, String(reply)))
    },
    remove: async (id, version) => version > 0 && (await write(id, version, '')) !== null,
    watch(onChange) {
      const watcher = followed.watch(onChange)
      if (!subscribed) {
        subscribed = true
        // What was revoked meanwhile is known before anybody is let in.
        client.beforeBack(() => look(undefined))
        // A look that fails is taken again when Redis is back.
        client.subscribe(channel, id => void look(id).catch(() => {}))
      }
      return watcher
    },
  }
}

function stamped<T>(id: string, text: string): Stamped<T> & { readonly keepUntil: EpochMs } {
  const { version, stamp, value, keep_until } = JSON.parse(text) as Written<T>
  return { id, version, stamp, value, keepUntil: keep_until ?? Number.POSITIVE_INFINITY }
}

function kept<T>({ id, version, value }: Stamped<T>): Kept<T> {
  return { id, version, value }
}
