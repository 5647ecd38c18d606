import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createDeadlines } from '../../src/upstreams/deadlines.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function watched(dueAt: number) {
  const due = { dueAt, called: [] as number[], onDue: (now: number) => void due.called.push(now) }
  return due
}

describe('deadlines', () => {
  it('call when one is due, soon after it and never before', () => {
    const deadlines = createDeadlines(() => Date.now())
    const due = watched(Date.now() + 1000)
    deadlines.watch(due)
    vi.advanceTimersByTime(999)
    expect(due.called).toEqual([])
    vi.advanceTimersByTime(101)
    expect(due.called).not.toEqual([])
    expect(due.called[0]).toBeGreaterThanOrEqual(due.dueAt)
  })

  it('call once, and again only when it is watched again', () => {
    const deadlines = createDeadlines(() => Date.now())
    const due = watched(Date.now())
    deadlines.watch(due)
    vi.advanceTimersByTime(1000)
    expect(due.called).toHaveLength(1)
    due.dueAt = Date.now() + 500
    deadlines.watch(due)
    vi.advanceTimersByTime(1000)
    expect(due.called).toHaveLength(2)
  })

  it('follow one that moves away', () => {
    const deadlines = createDeadlines(() => Date.now())
    const due = watched(Date.now() + 1000)
    deadlines.watch(due)
    for (let count = 0; count < 50; count++) {
      vi.advanceTimersByTime(500)
      due.dueAt = Date.now() + 1000
    }
    expect(due.called).toEqual([])
    vi.advanceTimersByTime(1100)
    expect(due.called).not.toEqual([])
  })

  it('count no time after what came was last read, however long the process stood still', () => {
    let at = 0
    const deadlines = createDeadlines(() => at)
    const due = watched(3000)
    deadlines.watch(due)
    vi.advanceTimersToNextTimer()
    // Between the timer and the look that it asked for.
    at = 6000
    vi.advanceTimersToNextTimer()
    expect(due.called).toEqual([])
    vi.advanceTimersToNextTimer()
    vi.advanceTimersToNextTimer()
    expect(due.called).toEqual([6000])
  })

  it('count no time in which the process stood still, where they are told so', () => {
    let at = 0
    const patient = createDeadlines(() => at, { countStandstill: false })
    const strict = createDeadlines(() => at)
    const [server, right] = [watched(3000), watched(3000)]
    patient.watch(server)
    strict.watch(right)
    const goOn = (ms: number): void => {
      for (const end = at + ms; at < end; ) {
        at += 100
        vi.advanceTimersByTime(100)
      }
    }
    goOn(1000)
    at += 60_000
    goOn(1000)
    expect([server.called, right.called]).toEqual([[], [61_100]])
    goOn(800)
    expect(server.called).toEqual([])
    goOn(1000)
    expect(server.called).toEqual([63_000])
  })

  it('never call what is forgotten, and may forget what was never watched', () => {
    const deadlines = createDeadlines(() => Date.now())
    const due = watched(Date.now() + 1000)
    deadlines.forget(due)
    deadlines.watch(due)
    deadlines.forget(due)
    vi.advanceTimersByTime(5000)
    expect(due.called).toEqual([])
  })

  it('may be forgotten and watched from inside a call', () => {
    const deadlines = createDeadlines(() => Date.now())
    const [one, other] = [watched(Date.now() + 100), watched(Date.now() + 100)]
    one.onDue = now => {
      one.called.push(now)
      deadlines.forget(one)
      deadlines.forget(other)
    }
    deadlines.watch(one)
    deadlines.watch(other)
    vi.advanceTimersByTime(1000)
    expect([one.called.length, other.called.length]).toEqual([1, 0])
  })

  it('never call what is never due', () => {
    const deadlines = createDeadlines(() => Date.now())
    const due = watched(Number.POSITIVE_INFINITY)
    deadlines.watch(due)
    vi.advanceTimersByTime(10_000_000)
    expect(due.called).toEqual([])
  })

  it('take one timer for any number, and none when nothing is watched', () => {
    const deadlines = createDeadlines(() => Date.now())
    const all = Array.from({ length: 100 }, () => watched(Date.now() + 1000))
    for (const due of all) deadlines.watch(due)
    expect(vi.getTimerCount()).toBe(1)
    for (const due of all) deadlines.forget(due)
    vi.advanceTimersByTime(200)
    expect(vi.getTimerCount()).toBe(0)
    const late = watched(Date.now() + 100)
    deadlines.watch(late)
    vi.advanceTimersByTime(300)
    expect(late.called.length).toBeGreaterThan(0)
  })
})
