import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Finding } from '../../src/contract/findings.ts'
import {
  type Activation,
  type Attempt,
  createActivation,
  type Edition,
  Refused,
} from '../../src/policy/activation.ts'
import type { Revision } from '../../src/policy/revision.ts'

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
function world() {
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
    return {
      id: text,
      decide: () => ({ decision: { allow: false }, text: '' }),
      close: () => void closed.push(text),
    }
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

describe('overlapping changes', () => {
  it('never put a slow, older build in force when the source has moved on', async () => {
    const { activation, source, slow, told, closed } = world()
    await activation.refresh()
    source.text = 'slow two'
    const running = activation.refresh()
    await vi.waitFor(() => expect(slow.size).toBe(1))
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
    await vi.waitFor(() => expect(slow.size).toBe(1))
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
    await vi.waitFor(() => expect(slow.size).toBe(1))
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
    await vi.waitFor(() => expect(slow.size).toBe(1))
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
