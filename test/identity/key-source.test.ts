import { describe, expect, it } from 'vitest'
import { createKeySource } from '../../src/identity/key-source.ts'
import { signingKey } from '../support/issuer.ts'

const [ONE, TWO] = [signingKey('ES256'), signingKey('ES256')]
const MINUTE = 60_000
const HOUR = 60 * MINUTE

function sourceOf() {
  const world = {
    now: 1_800_000_000_000,
    reads: 0,
    changes: 0,
    states: [] as boolean[],
    answer: async (): Promise<string> => JSON.stringify({ keys: [ONE.jwk] }),
    keys: async () => (await source.keys(world.now)).map(key => key.kid),
    newer: async () => (await source.newer(world.now))?.map(key => key.kid),
    reload: () => source.reload(),
  }
  const source = createKeySource({
    name: 'idp',
    freshMs: 10 * MINUTE,
    staleMs: 24 * HOUR,
    floorMs: 5000,
    now: () => world.now,
    read() {
      world.reads++
      return world.answer()
    },
    onChange: () => world.changes++,
    onState: ok => world.states.push(ok),
  })
  return world
}

const away = (): Promise<string> => Promise.reject(new Error('away'))
const withTwo = async (): Promise<string> => JSON.stringify({ keys: [ONE.jwk, TWO.jwk] })

describe('a source of keys', () => {
  it('is asked once for all who wait', async () => {
    const world = sourceOf()
    let open = (_text: string): void => {}
    world.answer = () => new Promise(resolve => (open = resolve))
    const waiting = Array.from({ length: 100 }, world.keys)
    expect(world.reads).toBe(1)
    open(await withTwo())
    expect(await Promise.all(waiting)).toEqual(Array(100).fill([ONE.kid, TWO.kid]))
    expect(world.reads).toBe(1)
  })

  it('is asked once for all who wait for a key that is not known yet', async () => {
    const world = sourceOf()
    await world.keys()
    world.now += 1
    world.answer = withTwo
    expect(await Promise.all(Array.from({ length: 100 }, world.newer))).toEqual(
      Array(100).fill([ONE.kid, TWO.kid]),
    )
    expect(world.reads).toBe(2)
  })

  it('is asked again when the keys are no longer fresh, and not before', async () => {
    const world = sourceOf()
    await world.keys()
    world.now += 10 * MINUTE - 1
    await world.keys()
    expect(world.reads).toBe(1)
    world.now += 1
    await world.keys()
    expect([world.reads, world.changes]).toEqual([2, 1])
  })

  it('that is away leaves the last good keys, until a limit', async () => {
    const world = sourceOf()
    await world.keys()
    world.answer = away
    world.now += 23 * HOUR
    expect(await world.keys()).toEqual([ONE.kid])
    world.now += HOUR - 1
    expect(await world.keys()).toEqual([ONE.kid])
    world.now += 1
    await expect(world.keys()).rejects.toMatchObject({ code: 'identity_unavailable', retryAfterSeconds: 5 })
    expect(world.states).toEqual([false])
    world.answer = withTwo
    world.now += 5000
    expect(await world.keys()).toEqual([ONE.kid, TWO.kid])
    expect(world.states).toEqual([false, true])
  })

  it('that is away is not asked more often than the floor lets it, keys or none', async () => {
    const world = sourceOf()
    world.answer = away
    for (let second = 0; second < 20; second++) {
      await expect(world.keys()).rejects.toMatchObject({ code: 'identity_unavailable' })
      world.now += 1000
    }
    expect(world.reads).toBe(4)
  })

  it('that is known to be away keeps nobody waiting who can do with the last good keys', async () => {
    const world = sourceOf()
    await world.keys()
    world.answer = away
    world.now += 10 * MINUTE
    await world.keys()
    world.now += 5000
    world.answer = () => new Promise(() => {})
    expect(await world.keys()).toEqual([ONE.kid])
    expect(world.reads).toBe(3)
  })

  it.each([
    ['no JSON', 'x'],
    ['no key set', '{"keys": 7}'],
    ['no keys', '{"keys": []}'],
    ['only secrets', '{"keys": [{"kty": "oct", "k": "AAAA"}]}'],
    ['only keys for encryption', JSON.stringify({ keys: [{ ...ONE.jwk, use: 'enc' }] })],
    ['null', 'null'],
    ['a broken PEM', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
  ])('that answers with %s is as good as away', async (_what, text) => {
    const world = sourceOf()
    await world.keys()
    world.answer = async () => text
    world.now += 10 * MINUTE
    expect(await world.keys()).toEqual([ONE.kid])
    expect(world.states).toEqual([false])
  })

  it('never keeps the private half of a key that was published by mistake', async () => {
    const world = sourceOf()
    world.answer = async () => JSON.stringify({ keys: [ONE.privateKey.export({ format: 'jwk' })] })
    const source = createKeySource({
      name: 'idp',
      freshMs: 1,
      staleMs: 1,
      floorMs: 1,
      now: () => 0,
      read: world.answer,
      onChange() {},
      onState() {},
    })
    expect(JSON.stringify(await source.keys(0))).not.toContain('"d"')
  })

  it('reloaded while it is being read is read once more', async () => {
    const world = sourceOf()
    const first = world.keys()
    world.answer = withTwo
    await world.reload()
    await first
    expect(await world.keys()).toEqual([ONE.kid, TWO.kid])
  })
})
