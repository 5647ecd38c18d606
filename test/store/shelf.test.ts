import { expect, test } from 'vitest'
import type { Change } from '../../src/contract/shelf.ts'
import type { Store } from '../../src/store/store.ts'
import { everyStore } from '../support/stores.ts'

/** Every store passes these. */
for (const [engine, maker] of Object.entries(everyStore())) {
  const open = async (now: () => number): Promise<Store> => (await maker.open(now)).store

  test(`${engine}: what is put is read again, in its own copy`, async () => {
    const shelf = (await open(() => 0)).shelf<{ roles: string[] }>('keys')
    const value = { roles: ['a'] }
    await shelf.put('k1', value, 0)
    value.roles.push('b')
    expect(await shelf.get('k1')).toEqual({ id: 'k1', version: 1, value: { roles: ['a'] } })
    expect(await shelf.all()).toHaveLength(1)
    expect(await shelf.get('k2')).toBeUndefined()
  })

  test(`${engine}: of two that write from the same version, one is told to read again`, async () => {
    const shelf = (await open(() => 0)).shelf<number>('grants')
    await shelf.put('g', 1, 0)
    const won = await Promise.all([shelf.put('g', 2, 1), shelf.put('g', 3, 1)])
    expect(won.filter(Boolean)).toHaveLength(1)
    expect((await shelf.get('g'))?.version).toBe(2)
    expect(await shelf.put('g', 9, 0)).toBeUndefined()
  })

  test(`${engine}: a document is removed only in the version that was read`, async () => {
    const shelf = (await open(() => 0)).shelf<number>('grants')
    await shelf.put('g', 1, 0)
    await shelf.put('g', 2, 1)
    expect(await shelf.remove('g', 1)).toBe(false)
    expect(await shelf.remove('g', 2)).toBe(true)
    expect(await shelf.get('g')).toBeUndefined()
    expect((await shelf.put('g', 3, 0))?.version).toBe(1)
  })

  test(`${engine}: what is kept until a moment is gone at that moment`, async () => {
    let at = 1000
    const shelf = (await open(() => at)).shelf<number>('grants')
    await shelf.put('g', 1, 0, 2000)
    at = 1999
    expect(await shelf.get('g')).toBeDefined()
    at = 2000
    expect(await shelf.get('g')).toBeUndefined()
    expect(await shelf.all()).toEqual([])
  })

  test(`${engine}: what is written again is kept for as long as was said last, months too`, async () => {
    const day = 86_400_000
    let at = Date.parse('2026-03-02T12:00:00Z')
    const start = at
    const shelf = (await open(() => at)).shelf<number>('grants')
    await shelf.put('longer', 1, 0, at + 1000)
    await shelf.put('longer', 2, 1, at + 30 * day)
    await shelf.put('shorter', 1, 0, at + 3650 * day)
    await shelf.put('shorter', 2, 1, at + day)
    await shelf.put('ever', 1, 0, at + day)
    await shelf.put('ever', 2, 1)
    at = start + day
    expect((await shelf.all()).map(({ id }) => id).sort()).toEqual(['ever', 'longer'])
    at = start + 30 * day - 1
    expect(await shelf.get('longer')).toMatchObject({ version: 2, value: 2 })
    at = start + 30 * day
    expect(await shelf.get('longer')).toBeUndefined()
    expect(await shelf.put('longer', 3, 2)).toBeUndefined()
    expect(await shelf.put('longer', 3, 0)).toMatchObject({ version: 1 })
    expect(await shelf.get('ever')).toMatchObject({ value: 2 })
  })

  test(`${engine}: whoever watches is told of each change, until closed`, async () => {
    const shelf = (await open(() => 0)).shelf<number>('grants')
    const changes: Change<number>[] = []
    const watcher = shelf.watch(change => changes.push(change))
    await shelf.put('g', 1, 0)
    await shelf.remove('g', 1)
    await expect.poll(() => changes).toEqual([{ kept: { id: 'g', version: 1, value: 1 } }, { removed: 'g' }])
    watcher.close()
    await shelf.put('g', 2, 0)
    expect(changes).toHaveLength(2)
  })

  test(`${engine}: shelves of one name are one, of two names two`, async () => {
    const store = await open(() => 0)
    await store.shelf('a').put('x', 1, 0)
    expect(await store.shelf('a').get('x')).toBeDefined()
    expect(await store.shelf('b').get('x')).toBeUndefined()
  })

  test(`${engine}: a document that is removed and made again is told of as both`, async () => {
    const shelf = (await open(() => 0)).shelf<number>('grants')
    const changes: Change<number>[] = []
    shelf.watch(change => changes.push(change))
    await shelf.put('g', 1, 0)
    await shelf.remove('g', 1)
    await shelf.put('g', 2, 0)
    await expect.poll(() => changes.at(-1)).toEqual({ kept: { id: 'g', version: 1, value: 2 } })
  })

  if (!maker.shared) continue

  test(`${engine}: another gateway reads what was put, and is told of each change`, async () => {
    const { store, another } = await maker.open(() => 0)
    const other = (await another()).shelf<number>('grants')
    await store.shelf('grants').put('before', 1, 0)
    const changes: Change<number>[] = []
    other.watch(change => changes.push(change))
    await store.shelf('grants').put('g', 1, 0)
    await expect.poll(() => changes).toContainEqual({ kept: { id: 'g', version: 1, value: 1 } })
    expect(await other.put('g', 2, 1)).toMatchObject({ version: 2 })
    expect(await store.shelf<number>('grants').put('g', 3, 1)).toBeUndefined()
    await store.shelf('grants').remove('g', 2)
    await expect.poll(() => changes).toContainEqual({ removed: 'g' })
  })

  test(`${engine}: what is kept outlives the gateway that wrote it`, async () => {
    const { store, another } = await maker.open(() => 0)
    await store.shelf('grants').put('g', { roles: ['a'] }, 0)
    expect(await (await another()).shelf('grants').get('g')).toMatchObject({ value: { roles: ['a'] } })
  })
}
