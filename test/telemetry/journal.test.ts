import { describe, expect, it } from 'vitest'
import { createJournal } from '../../src/telemetry/journal.ts'

const idOf = (number: number): string => String(number).padStart(26, '0')

const decision = (number: number, facts: object = {}): string =>
  JSON.stringify({ event: 'decision', decision_id: idOf(number), http: { method: 'POST' }, ...facts })

const outcome = (number: number, facts: object = {}): string =>
  JSON.stringify({
    event: 'outcome',
    decision_id: idOf(number),
    timestamp: '2026-01-05T10:00:00Z',
    outcome: 'completed',
    http: { status: 200 },
    ...facts,
  })

describe('the journal', () => {
  it('joins a decision and its outcome, whatever came between', () => {
    const journal = createJournal({ run: 'r' })
    for (const record of [decision(1), decision(2), outcome(1), decision(3)]) journal.take(record)
    expect([...journal.entries()].map(entry => entry.view().outcome)).toEqual([
      'completed',
      undefined,
      undefined,
    ])
    expect(journal.find(idOf(1))?.view()).toEqual({
      event: 'decision',
      decision_id: idOf(1),
      outcome: 'completed',
      http: { method: 'POST', status: 200 },
      ended_at: '2026-01-05T10:00:00Z',
    })
    expect(journal.find(idOf(4))).toBeUndefined()
  })

  it('keeps the latest, and no outcome of a decision that is forgotten', () => {
    const journal = createJournal({ run: 'r', mostRecords: 4 })
    for (const number of [1, 2, 3]) for (const of of [decision, outcome]) journal.take(of(number))
    journal.take(decision(4))
    expect([...journal.entries()].map(entry => entry.view().decision_id)).toEqual([idOf(3), idOf(4)])
  })

  it('leaves events of other kinds alone', () => {
    const journal = createJournal({ run: 'r' })
    journal.take('{"event":"gateway.started"}')
    expect([...journal.entries()]).toEqual([])
  })

  it('tells who follows of both, and of one decision by the same cursor', () => {
    const journal = createJournal({ run: 'r' })
    const told: [string, string][] = []
    journal.take(decision(1))
    const stop = journal.follow((entry, what) => told.push([entry.cursor, what]))
    journal.take(decision(2))
    journal.take(outcome(1))
    journal.take(outcome(2))
    stop()
    journal.take(decision(3))
    expect(told).toEqual([
      ['r-1', 'decision'],
      ['r-0', 'outcome'],
      ['r-1', 'outcome'],
    ])
  })

  it('shows no content of messages, in short records nor in long ones', () => {
    const journal = createJournal({ run: 'r' })
    for (const [number, length] of [10, 200_000].entries()) {
      const body = { model: 'tiny', messages: [{ content: 'secret'.repeat(length) }], max_tokens: 5 }
      journal.take(decision(number, { input: { request: { body } } }))
      journal.take(outcome(number, { response: 'secret'.repeat(length) }))
    }
    const views = [...journal.entries()].map(entry => entry.view())
    for (const view of views) {
      expect(view.input).toEqual({ request: { body: { model: 'tiny', max_tokens: 5 } } })
      expect(view.outcome).toBe('completed')
      expect(JSON.stringify(view)).not.toContain('secret')
    }
    expect(views).toHaveLength(2)
  })
})
