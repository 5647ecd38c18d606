import { describe, expect, it } from 'vitest'
import type { Principal } from '../../src/contract/input.schema.ts'
import { createGrantTokens, type KeptKey } from '../../src/identity/grant-tokens.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const DAY = 86_400_000
const START = Date.parse('2026-03-02T12:00:00Z')
const holder = { id: 'dev' } as Principal

function world() {
  const clock = { now: START }
  const store = createMemoryStore({ now: () => clock.now })
  const keys = store.shelf<KeptKey>('keys')
  const active = new Map([['g_1', holder]])
  const gateway = () => createGrantTokens({ keys, now: () => clock.now, holderOf: id => active.get(id) })
  const mint = (days = 1, principal = 'dev') =>
    gateway().mint({ id: 'g_1', principal, startsAt: clock.now, expiresAt: clock.now + days * DAY })
  return { clock, keys, active, gateway, mint }
}

describe('the credential of a grant', () => {
  it('names its holder on every gateway that shares the store, until the grant is over', async () => {
    const { active, gateway, mint, clock } = world()
    const jwt = await mint()
    expect(await gateway().asked(jwt, clock.now)).toBe(holder)
    active.clear()
    expect(await gateway().asked(jwt, clock.now)).toBeUndefined()
  })

  it('is good from its beginning to its end, and for the principal that it names', async () => {
    const { gateway, mint, clock } = world()
    const jwt = await mint()
    expect(await gateway().asked(jwt, clock.now - 60_000)).toBeUndefined()
    expect(await gateway().asked(jwt, clock.now + 2 * DAY)).toBeUndefined()
    expect(await gateway().asked(await mint(1, 'ana'), clock.now)).toBeUndefined()
  })

  it('is signed with a new key every week, and the old one is kept as long as it is needed', async () => {
    const { clock, keys, gateway, mint } = world()
    const [long, short] = [await mint(40), await mint(1)]
    expect(await keys.all()).toHaveLength(1)
    clock.now += 8 * DAY
    const late = await mint(1)
    expect(await keys.all()).toHaveLength(2)
    const verdicts = [long, short, late].map(jwt => gateway().asked(jwt, clock.now))
    expect(await Promise.all(verdicts)).toEqual([holder, undefined, holder])
    clock.now += 100 * DAY
    expect(await keys.all()).toEqual([])
  })

  it('is not judged by its issuer’s name, and what is not of its kind is left to others', () => {
    const { gateway, clock } = world()
    const other = `${Buffer.from('{"typ":"JWT","alg":"RS256"}').toString('base64url')}.e30.x`
    for (const credential of [other, 'slp_key', 'a.b.c', '']) {
      expect(gateway().asked(credential, clock.now)).toBeUndefined()
    }
  })
})
