import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Finding } from '../../../src/contract/findings.ts'
import type { Attempt } from '../../../src/contract/seen.ts'
import {
  type Activation,
  type ActivationNeeds,
  createActivation,
  type Edition,
  Refused,
} from '../../../src/policy/activate/activation.ts'
import { READS_ANYTHING } from '../../../src/policy/reads.ts'
import type { Revision } from '../../../src/policy/revision.ts'
import { thrownBy } from '../../support/thrown.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const finding = (message: string): Finding => ({
  severity: 'error',
  code: 'rego_error',
  message,
  file: 'p.rego',
  line: 3,
  column: 1,
})

/** A source that a test changes: its text is its digest, and says what becomes of it. */
function revision(id: string, close: () => void = () => {}): Revision {
  const decide = () => ({ decision: { allow: false }, text: '' }) as const
  const facts = { id, reads: READS_ANYTHING, entrypoints: [], dataText: '{}' }
  return { ...facts, decide, offers: () => false, ask: () => undefined, close }
}

function world(needs: Partial<ActivationNeeds> = {}) {
  const source = { text: 'one' as string | Error }
  const closed: string[] = []
  const attempts: Attempt[] = []
  /** Builds that wait until they are let go. */
  const slow = new Map<string, () => void>()
  let builds = 0

  async function build(text: string): Promise<Revision> {
    builds++
    if (text.startsWith('slow')) await new Promise<void>(resolve => slow.set(text, resolve))
    if (text.startsWith('bad')) throw new Refused([finding(text)])
    if (text.startsWith('fault')) throw new Error('no space left')
    return revision(text, () => void closed.push(text))
  }

  const look = (): Edition => {
    if (source.text instanceof Error) throw source.text
    const { text } = source
    return { digest: text, build: step => step('build', () => build(text)) }
  }
  const activation = createActivation({
    look,
    now: () => Date.now(),
    unreadable: cause => ({ ...finding((cause as Error).message), line: 0 }),
    onAttempt: attempt => void attempts.push(attempt),
    ...needs,
  })
  const told = (): string[] =>
    attempts.map(({ outcome, revision, diagnostics }) => `${outcome} ${revision ?? diagnostics[0]?.message}`)
  return { activation, source, closed, attempts, told, slow, builds: () => builds }
}
const inForce = (activation: Activation): string | undefined => activation.current()?.id

describe('activation', () => {
  it('has nothing in force before the first look', () => {
    const { activation } = world()
    expect(activation.current()).toBeUndefined()
    expect(activation.confirmedAt()).toBeUndefined()
    expect(activation.status()).toEqual({
      revision: null,
      activated_at: null,
      changed_at: null,
      checked_at: null,
      confirmed_at: null,
      rolled_back_from: null,
      held: [],
      attempts: [],
    })
  })

  it('puts a source in force, with its steps', async () => {
    const { activation, attempts } = world()
    await activation.refresh()
    expect(inForce(activation)).toBe('one')
    expect(attempts).toMatchObject([
      { outcome: 'activated', revision: 'one', steps: [{ name: 'build' }], diagnostics: [] },
    ])
  })

  it('does nothing when nothing changed', async () => {
    const { activation, attempts, builds } = world()
    await activation.refresh()
    await activation.refresh()
    expect(builds()).toBe(1)
    expect(attempts).toHaveLength(1)
  })

  it('keeps the old one in force when the new one is refused, and says why, once', async () => {
    const { activation, source, told, builds } = world()
    await activation.refresh()
    source.text = 'bad two'
    await activation.refresh()
    await activation.refresh()
    expect(inForce(activation)).toBe('one')
    expect(told()).toEqual(['activated one', 'refused bad two'])
    expect(builds()).toBe(2)
  })

  it('recovers when the files are mended, also from the very start', async () => {
    const { activation, source, told } = world()
    source.text = 'bad one'
    await activation.refresh()
    expect(inForce(activation)).toBeUndefined()
    source.text = 'two'
    await activation.refresh()
    expect(inForce(activation)).toBe('two')
    expect(told()).toEqual(['refused bad one', 'activated two'])
  })

  it('keeps the old one when the source is gone, says so once, and goes on when it is back', async () => {
    const { activation, source, told } = world()
    await activation.refresh()
    source.text = new Error('gone')
    await activation.refresh()
    await activation.refresh()
    expect(inForce(activation)).toBe('one')
    expect(told()).toEqual(['activated one', 'refused gone'])
    source.text = 'two'
    await activation.refresh()
    expect(inForce(activation)).toBe('two')
  })

  it('tries a source again that failed through no fault of its own', async () => {
    const { activation, source, told } = world()
    source.text = 'fault'
    await activation.refresh()
    await activation.refresh()
    expect(told()).toEqual(['refused no space left', 'refused no space left'])
  })

  it('closes the old revision after a while: requests that began under it may still ask it', async () => {
    const { activation, source, closed } = world()
    await activation.refresh()
    source.text = 'two'
    await activation.refresh()
    expect(closed).toEqual([])
    vi.advanceTimersByTime(59_000)
    expect(closed).toEqual([])
    vi.advanceTimersByTime(2000)
    expect(closed).toEqual(['one'])
  })

  it('closes what is in force when it is closed', async () => {
    const { activation, closed } = world()
    await activation.refresh()
    activation.close()
    expect(closed).toEqual(['one'])
  })
})

describe('a source that cannot be read for a while', () => {
  it('is not put in force again when it is back as it was', async () => {
    const { activation, source, builds, told } = world()
    await activation.refresh()
    for (const text of [new Error('gone'), 'one', new Error('gone'), 'one']) {
      source.text = text
      await activation.refresh()
    }
    expect(builds()).toBe(1)
    expect(told()).toEqual(['activated one', 'refused gone', 'refused gone'])
  })
})

describe('the last good edition', () => {
  const kept = (text: string, confirmedAt = 500): Edition => ({
    digest: text,
    confirmedAt,
    build: async step => step('build', () => revisionOf(text)),
  })
  const revisionOf = (id: string): Revision => {
    if (id.startsWith('bad')) throw new Refused([finding(id)])
    return revision(id)
  }

  it('is in force when the source cannot be read at the start, as old as it is', async () => {
    const { activation, source, attempts } = world({ lastGood: () => kept('zero') })
    source.text = new Error('gone')
    await activation.refresh()
    expect(inForce(activation)).toBe('zero')
    expect(attempts.map(({ outcome, from }) => [outcome, from])).toEqual([
      ['refused', undefined],
      ['activated', 'last_good'],
    ])
    expect(activation.confirmedAt()).toBe(500)
  })

  it('is confirmed, and not built again, when the source comes back with it', async () => {
    const { activation, source, builds } = world({ lastGood: () => kept('one') })
    source.text = new Error('gone')
    await activation.refresh()
    source.text = 'one'
    vi.setSystemTime(9000)
    await activation.refresh()
    expect([builds(), activation.confirmedAt()]).toEqual([0, 9000])
  })

  it('gives way to the source when that is back with another', async () => {
    const { activation, source } = world({ lastGood: () => kept('zero') })
    source.text = 'bad one'
    await activation.refresh()
    expect(inForce(activation)).toBe('zero')
    source.text = 'two'
    await activation.refresh()
    expect(inForce(activation)).toBe('two')
  })

  it('is asked for once, at the start, and not when there is a policy', async () => {
    const lastGood = vi.fn(() => kept('bad zero'))
    const { activation, source, told } = world({ lastGood })
    source.text = 'bad one'
    for (let look = 0; look < 3; look++) await activation.refresh()
    expect(told()).toEqual(['refused bad one', 'refused bad zero'])
    expect(lastGood).toHaveBeenCalledTimes(1)
    const other = world({ lastGood })
    await other.activation.refresh()
    expect(lastGood).toHaveBeenCalledTimes(1)
  })
})

describe('a rollback', () => {
  const through = async (texts: readonly string[], needs?: Partial<ActivationNeeds>) => {
    const made = world(needs)
    for (const text of texts) {
      made.source.text = text
      await made.activation.refresh()
    }
    return made
  }

  it('goes back to what was in force before, and further back', async () => {
    const { activation } = await through(['one', 'two', 'three'])
    expect(activation.rollback()).toEqual({ revision: 'two', from: 'three' })
    expect(activation.rollback()).toEqual({ revision: 'one', from: 'two' })
    expect(activation.status()).toMatchObject({
      revision: 'one',
      rolled_back_from: 'three',
      held: ['three', 'two'],
    })
  })

  it('goes to the one that is named, also forward again', async () => {
    const { activation } = await through(['one', 'two', 'three'])
    activation.rollback('one')
    expect(inForce(activation)).toBe('one')
    activation.rollback('three')
    expect(activation.status()).toMatchObject({ revision: 'three', rolled_back_from: null })
  })

  it('stays until the source changes again', async () => {
    const { activation, source, builds } = await through(['one', 'two'])
    activation.rollback()
    await activation.refresh()
    expect([inForce(activation), builds()]).toEqual(['one', 2])
    source.text = 'three'
    await activation.refresh()
    expect(activation.status()).toMatchObject({ revision: 'three', rolled_back_from: null })
    expect(activation.rollback().revision).toBe('one')
  })

  it('is no reason to call the policy stale while its source is there', async () => {
    const { activation } = await through(['one', 'two'])
    activation.rollback()
    vi.setSystemTime(Date.now() + 5000)
    await activation.refresh()
    expect(activation.confirmedAt()).toBe(Date.now())
  })

  it.each([undefined, 'nowhere', 'one'])('to %s, where that is not held, says what is', async id => {
    const { activation } = await through(['one'])
    expect(thrownBy(() => activation.rollback(id))).toMatchObject({ code: 'unknown_revision', held: [] })
    expect(inForce(activation)).toBe('one')
  })

  it('changes nothing when the revision does not answer any more', async () => {
    const prove = () => {
      throw new Refused([finding('too slow')])
    }
    const { activation } = await through(['one', 'two'], { prove })
    expect(thrownBy(() => activation.rollback()).code).toBe('policy_refused')
    expect(inForce(activation)).toBe('two')
  })

  it('holds a few revisions, and one of a name', async () => {
    const { activation, source } = await through(['1', '2', '3', '4', '5', '6', '7'])
    expect(activation.status().held).toEqual(['6', '5', '4', '3'])
    source.text = '4'
    await activation.refresh()
    expect(activation.status()).toMatchObject({ revision: '4', held: ['7', '6', '5', '3'] })
  })

  it('takes no memory from the revision that it puts in force', async () => {
    const { activation, closed } = await through(['one', 'two'])
    activation.rollback()
    vi.advanceTimersByTime(61_000)
    expect(closed).toEqual(['two'])
  })
})

describe('overlapping changes', () => {
  it('never put a slow, older build in force when the source has moved on', async () => {
    const { activation, source, slow, told, closed } = world()
    await activation.refresh()
    source.text = 'slow two'
    const running = activation.refresh()
    await expect.poll(() => slow.size).toBe(1)
    source.text = 'three'
    const again = activation.refresh()
    expect(inForce(activation)).toBe('one')
    slow.get('slow two')?.()
    await Promise.all([running, again])
    expect(inForce(activation)).toBe('three')
    expect(told()).toEqual(['activated one', 'activated three'])
    expect(closed).toContain('slow two')
  })

  it('end with the source that stands there, even if nobody said that it moved', async () => {
    const { activation, source, slow } = world()
    source.text = 'slow one'
    const running = activation.refresh()
    await expect.poll(() => slow.size).toBe(1)
    source.text = 'two'
    slow.get('slow one')?.()
    await running
    expect(inForce(activation)).toBe('two')
  })

  it('leave in force what was, when the source goes and comes back meanwhile', async () => {
    const { activation, source, slow, builds } = world()
    await activation.refresh()
    source.text = 'slow two'
    const running = activation.refresh()
    await expect.poll(() => slow.size).toBe(1)
    source.text = 'one'
    slow.get('slow two')?.()
    await running
    expect(inForce(activation)).toBe('one')
    expect(builds()).toBe(2)
  })

  it('refuse when the source is gone by the time it is built', async () => {
    const { activation, source, slow, told } = world()
    source.text = 'slow one'
    const running = activation.refresh()
    await expect.poll(() => slow.size).toBe(1)
    source.text = new Error('gone')
    slow.get('slow one')?.()
    await running
    expect(inForce(activation)).toBeUndefined()
    expect(told()).toEqual(['refused gone'])
  })

  it('build once for any number of notices at the same time', async () => {
    const { activation, builds } = world()
    await Promise.all(Array.from({ length: 20 }, () => activation.refresh()))
    expect(builds()).toBe(1)
  })

  it('never reject', async () => {
    const { activation, source } = world()
    for (const text of ['bad', 'fault', new Error('gone'), 'one']) {
      source.text = text
      await expect(activation.refresh()).resolves.toBeUndefined()
    }
  })
})

describe('the status', () => {
  it('tells apart when the source was checked, changed, activated and refused', async () => {
    const { activation, source } = world()
    const at = (second: number): string =>
      new Date(Date.parse('2026-01-01T12:00:00Z') + second * 1000).toISOString()
    vi.setSystemTime(at(0))
    await activation.refresh()
    vi.setSystemTime(at(1))
    source.text = 'bad two'
    await activation.refresh()
    vi.setSystemTime(at(2))
    await activation.refresh()
    expect(activation.status()).toMatchObject({
      revision: 'one',
      activated_at: at(0),
      changed_at: at(1),
      checked_at: at(2),
      attempts: [
        { at: at(1), outcome: 'refused', revision: null, diagnostics: [{ file: 'p.rego', line: 3 }] },
        { at: at(0), outcome: 'activated', revision: 'one' },
      ],
    })
    expect(activation.confirmedAt()).toBe(Date.parse(at(0)))
  })

  it('counts the age from when the source was last seen to be what is in force', async () => {
    const { activation } = world()
    vi.setSystemTime(1000)
    await activation.refresh()
    vi.setSystemTime(9000)
    await activation.refresh()
    expect(activation.confirmedAt()).toBe(9000)
  })

  it('keeps ten attempts, the latest first', async () => {
    const { activation, source } = world()
    for (let number = 0; number < 15; number++) {
      source.text = `bad ${number}`
      await activation.refresh()
    }
    const kept = activation.status().attempts.map(attempt => attempt.diagnostics[0]?.message)
    expect(kept).toHaveLength(10)
    expect(kept[0]).toBe('bad 14')
  })
})
