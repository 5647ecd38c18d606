import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Access, createAccess } from '../../src/access/access.ts'
import type { EndedGrant } from '../../src/access/directory.ts'
import type { AccessDocument } from '../../src/access/document.ts'
import type { AccessEvent } from '../../src/access/events.ts'
import type { AccessQuestion, Judge } from '../../src/access/verdict.ts'
import type { AccessRequestBody, AccessVerdict } from '../../src/contract/access.schema.ts'
import { GatewayError } from '../../src/contract/errors.ts'
import type { Principal } from '../../src/contract/input.schema.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { everyStore } from '../support/stores.ts'

const START = Date.parse('2026-03-02T12:00:00Z')
const HOUR = 3_600_000

const person = (id: string, ...roles: string[]): Principal => ({
  id,
  kind: 'user',
  roles,
  team: null,
  authenticated: true,
  method: 'api_key',
  key_id: null,
  claims: {},
  expires_at: null,
})
const dev = person('dev', 'developer')
const lea = person('lea', 'lead')
const asked: AccessRequestBody = { models: ['tiny'], duration: '1h', reason: 'incident' }

/** A world whose clocks a test sets. */
class World {
  wall = START
  steady = 0
  readonly events: AccessEvent[] = []
  readonly ended: EndedGrant[] = []
  readonly questions: AccessQuestion[] = []
  verdict: AccessVerdict = { outcome: 'approve' }
  /** The audit log cannot be written. */
  broken = false
  /** While an event is put on record. */
  onRecord = async (_event: AccessEvent): Promise<void> => {}
  readonly store: Store
  #ids = 0

  constructor(store?: Store) {
    this.store = store ?? createMemoryStore({ now: () => this.wall })
  }

  readonly judge: Judge = {
    ask: question => {
      this.questions.push(question)
      return JSON.stringify(this.verdict)
    },
  }

  /** Both clocks, as time passes. */
  pass(ms: number): void {
    this.wall += ms
    this.steady += ms
  }

  /** A gateway on this world's store, or on one that shows the same. */
  async gateway(prefix = '', store = this.store): Promise<Access> {
    const access = createAccess({
      requests: store.shelf<AccessDocument>('access_requests'),
      questions: store.shelf('access_questions'),
      now: () => this.wall,
      steady: () => this.steady,
      newId: kind => `${kind}${prefix}${++this.#ids}`,
      digest: text => createHash('sha256').update(text).digest('hex'),
      record: async event => {
        if (this.broken) throw new GatewayError('audit_unavailable', 'no space left')
        this.events.push(event)
        await this.onRecord(event)
      },
      onEnded: grant => this.ended.push(grant),
      every: () => ({ close: () => {} }),
      onFault: cause => {
        throw cause
      },
    })
    await access.open()
    return access
  }

  told(): string[] {
    return this.events.map(({ event }) => event)
  }
}

async function worldWith(verdict: AccessVerdict) {
  const world = new World()
  world.verdict = verdict
  return { world, access: await world.gateway() }
}
const ASK: AccessVerdict = { outcome: 'ask', approvers: { roles: ['lead'] } }
const codeOf = async (work: Promise<unknown>): Promise<string> =>
  (
    (await work.then(
      () => new Error('nothing was thrown'),
      error => error,
    )) as GatewayError
  ).code

describe('the time of a grant', () => {
  it('begins at its approval and ends to the millisecond', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, asked, world.judge)
    world.pass(600_000)
    const { grant } = await access.desk.approve(id, lea, null, world.judge)
    expect(grant).toMatchObject({ startsAt: START + 600_000, expiresAt: START + 600_000 + HOUR })
    world.pass(HOUR - 1)
    expect(access.activeOf('dev', world.wall)).toHaveLength(1)
    world.pass(1)
    expect(access.activeOf('dev', world.wall)).toEqual([])
  })

  it('begins later where that was asked for', async () => {
    const { world, access } = await worldWith({ outcome: 'approve' })
    const not_before = new Date(START + HOUR).toISOString()
    await access.desk.ask(dev, { ...asked, not_before }, world.judge)
    world.pass(HOUR - 1)
    expect(access.activeOf('dev', world.wall)).toEqual([])
    world.pass(1)
    expect(access.activeOf('dev', world.wall)).toHaveLength(1)
    world.pass(HOUR)
    expect(access.activeOf('dev', world.wall)).toEqual([])
  })

  it('is not made longer by a clock that is set back', async () => {
    const { world, access } = await worldWith({ outcome: 'approve' })
    await access.desk.ask(dev, asked, world.judge)
    world.pass(HOUR / 2)
    world.wall -= 10 * HOUR
    expect(access.activeOf('dev', world.wall + 10 * HOUR)).toHaveLength(1)
    world.pass(HOUR)
    world.wall = START + 1
    expect(access.activeOf('dev', world.wall)).toEqual([])
    await access.desk.sweep()
    expect(world.ended).toMatchObject([{ principal: 'dev', why: 'expired' }])
    expect(world.told().at(-1)).toBe('access.expired')
  })

  it('is over for good when the clock jumped over its end, whatever the clock does then', async () => {
    const { world, access } = await worldWith({ outcome: 'approve' })
    await access.desk.ask(dev, asked, world.judge)
    world.wall += 24 * HOUR
    expect(access.activeOf('dev', world.wall)).toEqual([])
    await access.desk.sweep()
    world.wall -= 24 * HOUR
    expect(access.activeOf('dev', world.wall)).toEqual([])
    expect(world.ended).toHaveLength(1)
  })

  it('is told to be over once, though it was over while nobody looked', async () => {
    const { world } = await worldWith({ outcome: 'approve' })
    const first = await world.gateway('a')
    await first.desk.ask(dev, asked, world.judge)
    first.close()
    world.pass(2 * HOUR)
    const [second, third] = [await world.gateway('b'), await world.gateway('c')]
    await Promise.all([second.desk.sweep(), third.desk.sweep()])
    await second.desk.sweep()
    expect(world.told().filter(event => event === 'access.expired')).toHaveLength(1)
  })
})

describe('an approval', () => {
  it('is asked of the policy at that moment, with the approver', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, { ...asked, ticket: 'OPS-1' }, world.judge)
    await access.desk.approve(id, lea, 'go', world.judge)
    expect(world.questions).toMatchObject([
      { principal: { id: 'dev' }, approver: null, approvals: [] },
      {
        principal: { id: 'dev' },
        access: {
          models: ['tiny'],
          roles: [],
          duration_seconds: 3600,
          reason: 'incident',
          ticket: 'OPS-1',
          emergency: false,
        },
        approver: { id: 'lea', roles: ['lead'] },
      },
    ])
  })

  it('is worth nothing from somebody who has lost the role, nor on terms that are gone', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, asked, world.judge)
    expect(await codeOf(access.desk.approve(id, person('lea'), null, world.judge))).toBe('forbidden')
    world.verdict = { ...ASK, max_duration: '30m' }
    expect(await codeOf(access.desk.approve(id, lea, null, world.judge))).toBe('forbidden')
    world.verdict = { outcome: 'deny' }
    expect(await codeOf(access.desk.approve(id, lea, null, world.judge))).toBe('forbidden')
    expect(access.activeOf('dev', world.wall)).toEqual([])
  })

  it('of one’s own counts only where the policy says so in words', async () => {
    const { world, access } = await worldWith({ ...ASK, approvers: { ids: ['dev'] } })
    const { id } = await access.desk.ask(dev, asked, world.judge)
    expect(await codeOf(access.desk.approve(id, dev, null, world.judge))).toBe('forbidden')
    world.verdict = { ...world.verdict, self_approval: true }
    expect((await access.desk.approve(id, dev, null, world.judge)).state).toBe('approved')
  })

  it('can be what the policy itself was waiting for', async () => {
    const { world, access } = await worldWith({ outcome: 'ask' })
    const { id } = await access.desk.ask(dev, asked, world.judge)
    const judge: Judge = {
      ask: ({ approver }) => JSON.stringify({ outcome: approver?.id === 'lea' ? 'approve' : 'ask' }),
    }
    expect(await codeOf(access.desk.approve(id, person('lou', 'lead'), null, judge))).toBe('forbidden')
    expect((await access.desk.approve(id, lea, null, judge)).state).toBe('approved')
  })

  it('is undone when it cannot be put on record, and a revocation stands', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, asked, world.judge)
    world.broken = true
    expect(await codeOf(access.desk.approve(id, lea, null, world.judge))).toBe('audit_unavailable')
    expect(access.activeOf('dev', world.wall)).toEqual([])
    // Nothing stood on it in the meantime.
    expect(world.ended).toEqual([])
    world.broken = false
    const { grant } = await access.desk.approve(id, lea, null, world.judge)
    world.broken = true
    expect(await codeOf(access.desk.end(grant?.id ?? '', lea, null, world.judge))).toBe('audit_unavailable')
    expect(access.activeOf('dev', world.wall)).toEqual([])
  })

  it('refuses an answer of the wrong shape', async () => {
    const { world, access } = await worldWith({ outcome: 'approve', max_durations: '1h' } as AccessVerdict)
    expect(await codeOf(access.desk.ask(dev, asked, world.judge))).toBe('policy_error')
    expect(world.told()).toEqual(['access.requested', 'access.denied'])
  })
})

describe('a grant that is not on record', () => {
  it('lends nothing, and leaves the request in nobody else’s hands', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, asked, world.judge)
    const other = await world.gateway('b')
    let meanwhile: unknown[] = []
    world.onRecord = async () => {
      meanwhile = [
        access.activeOf('dev', world.wall),
        other.activeOf('dev', world.wall),
        (await other.desk.find(id))?.state,
        await codeOf(other.desk.approve(id, person('lou', 'lead'), null, world.judge)),
        await codeOf(other.desk.deny(id, dev, null, world.judge)),
      ]
    }
    await access.desk.approve(id, lea, null, world.judge)
    expect(meanwhile).toEqual([[], [], 'pending', 'conflict', 'conflict'])
    expect(access.activeOf('dev', world.wall)).toHaveLength(1)
    expect(other.activeOf('dev', world.wall)).toHaveLength(1)
  })

  it('is over when its record came too late, and that is told', async () => {
    const { world, access } = await worldWith(ASK)
    const { id } = await access.desk.ask(dev, asked, world.judge)
    world.onRecord = async ({ event }) => {
      if (event !== 'access.approved') return
      world.pass(10_000)
      await access.desk.sweep()
    }
    expect(await codeOf(access.desk.approve(id, lea, null, world.judge))).toBe('conflict')
    expect(access.activeOf('dev', world.wall)).toEqual([])
    expect(world.events).toMatchObject([
      { event: 'access.requested' },
      { event: 'access.approved' },
      { event: 'access.expired', facts: { why: 'not_granted' } },
    ])
    // It may be asked for again.
    world.onRecord = async () => {}
    expect((await access.desk.ask(dev, asked, world.judge)).id).not.toBe(id)
  })
})

describe('what is kept', () => {
  it('is forgotten thirty days after its end', async () => {
    const { world, access } = await worldWith({ outcome: 'approve' })
    await access.desk.ask(dev, asked, world.judge)
    world.pass(HOUR)
    await access.desk.sweep()
    world.pass(30 * 24 * HOUR - 1)
    access.directory.purge(world.wall)
    expect(access.directory.all()).toHaveLength(1)
    world.pass(2)
    access.directory.purge(world.wall)
    expect(access.directory.all()).toEqual([])
  })

  it('is bounded for each principal', async () => {
    const { world, access } = await worldWith(ASK)
    for (let number = 0; number < 100; number++)
      await access.desk.ask(dev, { ...asked, ticket: `${number}` }, world.judge)
    const more = access.desk.ask(dev, { ...asked, ticket: 'more' }, world.judge)
    expect(await codeOf(more)).toBe('rate_limited')
    expect((await access.desk.ask(dev, { ...asked, ticket: '1' }, world.judge)).ticket).toBe('1')
    expect((await access.desk.ask(lea, asked, world.judge)).state).toBe('pending')
  })
})

/** A store that tells of no change. */
const untold = (store: Store): Store => ({
  ...store,
  shelf: <T>(name: string) => ({ ...store.shelf<T>(name), watch: () => ({ close: () => {} }) }),
})

/** Whatever store they share. */
for (const [engine, maker] of Object.entries(everyStore())) {
  const worldWithTwo = async (verdict: AccessVerdict) => {
    const clock = { now: () => START }
    const { store, another } = await maker.open(() => clock.now())
    const world = new World(store)
    clock.now = () => world.wall
    world.verdict = verdict
    return { world, one: await world.gateway('a'), two: await world.gateway('b', await another()), another }
  }

  describe(`gateways that share a store: ${engine}`, () => {
    it('see each other’s grants and revocations', async () => {
      const { world, one, two } = await worldWithTwo({ ...ASK, outcome: 'approve' })
      const { id, grant } = await one.desk.ask(dev, asked, world.judge)
      expect(await two.desk.find(id)).toMatchObject({ state: 'approved' })
      expect(two.activeOf('dev', world.wall)).toHaveLength(1)
      await two.desk.end(grant?.id ?? '', lea, null, world.judge)
      await expect.poll(() => one.activeOf('dev', world.wall)).toEqual([])
      expect(world.ended.map(({ why }) => why)).toEqual(['revoked', 'revoked'])
    })

    it('answer by what another has written, before they are told of it', async () => {
      const { world, one, another } = await worldWithTwo({ outcome: 'ask', approvers: { roles: ['lead'] } })
      const { id } = await one.desk.ask(dev, { ...asked, token: true }, world.judge)
      const late = await world.gateway('c', untold(await another()))
      expect(await late.desk.find(id)).toMatchObject({ state: 'pending' })
      await one.desk.approve(id, lea, null, world.judge)
      expect(await late.desk.find(id)).toMatchObject({ state: 'approved' })
      expect(late.activeOf('dev', world.wall)).toHaveLength(1)
      expect(await late.desk.takeToken(id, 'dev')).toMatchObject({ token: 'shown' })
      expect(await one.desk.takeToken(id, 'dev')).toBeUndefined()
    })

    it('approve once, find the first of the same questions, and record neither twice', async () => {
      const { world, one, two } = await worldWithTwo(ASK)
      const found = await Promise.all(
        [one, two, one, two].map(({ desk }) => desk.ask(dev, asked, world.judge)),
      )
      const [{ id }] = found as [AccessDocument]
      expect(new Set(found.map(document => document.id))).toEqual(new Set([id]))
      const codes = await Promise.all(
        [one, two].map(({ desk }, index) =>
          codeOf(desk.approve(id, person(`l${index}`, 'lead'), null, world.judge)),
        ),
      )
      expect(codes.filter(code => code === 'conflict')).toHaveLength(1)
      expect(world.told()).toEqual(['access.requested', 'access.approved'])
    })

    it('keep what was approved and what was revoked over a restart, for thirty days', async () => {
      const { world, one, another } = await worldWithTwo({ ...ASK, outcome: 'approve' })
      const kept = await one.desk.ask(dev, asked, world.judge)
      const gone = await one.desk.ask(dev, { ...asked, models: ['large'] }, world.judge)
      await one.desk.end(gone.grant?.id ?? '', dev, null, world.judge)
      one.close()
      const next = await world.gateway('c', await another())
      expect(next.activeOf('dev', world.wall).map(({ facts }) => facts.models)).toEqual([['tiny']])
      world.pass(30 * 24 * HOUR)
      const later = await world.gateway('d', await another())
      expect(later.directory.all().map(({ id }) => id)).toEqual([kept.id])
    })

    it('hand out a credential once', async () => {
      const { world, one, two } = await worldWithTwo({ outcome: 'approve' })
      const { id } = await one.desk.ask(dev, { ...asked, token: true }, world.judge)
      await two.desk.find(id)
      const taken = await Promise.all([one, two, one].map(({ desk }) => desk.takeToken(id, 'dev')))
      expect(taken.filter(Boolean)).toHaveLength(1)
      expect(await one.desk.takeToken(id, 'lea')).toBeUndefined()
    })
  })
}
