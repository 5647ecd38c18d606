/**
 * Journal: the latest decisions, for reading. What is written to the audit log is handed on as it is,
 * message content left out, and read only when somebody looks.
 */
import { createRing } from './ring.ts'

export interface Journal {
  /** Takes a record of the audit log once it is written, JSON text. Events of other kinds are let pass. */
  take(record: string): void
  /** The records from a number on that are still kept, and the number of the next one. */
  since(from: number): { readonly records: readonly string[]; readonly next: number }
  /** The oldest first. */
  entries(): Iterable<JournalEntry>
  find(id: string): JournalEntry | undefined
  /** @returns what ends it. */
  follow(listener: (entry: JournalEntry, what: 'decision' | 'outcome') => void): () => void
}

export interface JournalEntry {
  readonly cursor: string
  /** The decision's record with, once the request has ended, what its outcome's adds. Empty once it is forgotten. */
  view(): Readonly<Record<string, unknown>>
}

export interface JournalNeeds {
  /** Tells this run's cursors from another's. */
  readonly run: string
  /** A decision has two, if its request was let through. */
  readonly mostRecords?: number
  readonly mostBytes?: number
}

type What = 'decision' | 'outcome'
type Members = Record<string, unknown>

/** How a record begins, up to the decision's id. */
const BEGINNINGS: Readonly<Record<What, string>> = {
  decision: '{"event":"decision","decision_id":"',
  outcome: '{"event":"outcome","decision_id":"',
}
const ID_LENGTH = 26

/** A record that is longer is kept without its content. */
const LONG_CHARACTERS = 64 * 1024

export function createJournal({
  run,
  mostRecords = 2000,
  mostBytes = 8 * 1024 * 1024,
}: JournalNeeds): Journal {
  const records = createRing({ mostTexts: mostRecords, mostBytes })
  const listeners = new Set<(entry: JournalEntry, what: What) => void>()

  function* numbers(): Iterable<number> {
    for (let number = records.first; number < records.next; number++) yield number
  }

  /** The decision's id, if the record is of this kind. */
  function idOf(number: number, what: What): string | undefined {
    const beginning = BEGINNINGS[what]
    if (records.bytes(number, 0, beginning.length) !== beginning) return undefined
    return records.bytes(number, beginning.length, beginning.length + ID_LENGTH)
  }

  function numberOf(id: string, what: What): number | undefined {
    for (let number = records.next - 1; number >= records.first; number--)
      if (idOf(number, what) === id) return number
    return undefined
  }

  function entryOf(decision: number, outcome: number | undefined): JournalEntry {
    return {
      cursor: `${run}-${decision}`,
      view: () => joined(records.text(decision), outcome === undefined ? undefined : records.text(outcome)),
    }
  }

  function* entries(): Iterable<JournalEntry> {
    const outcomes = new Map<string | undefined, number>()
    for (const number of numbers()) outcomes.set(idOf(number, 'outcome'), number)
    for (const number of numbers()) {
      const id = idOf(number, 'decision')
      if (id !== undefined) yield entryOf(number, outcomes.get(id))
    }
  }

  function find(id: string): JournalEntry | undefined {
    const decision = numberOf(id, 'decision')
    return decision === undefined ? undefined : entryOf(decision, numberOf(id, 'outcome'))
  }

  return {
    take(record) {
      const what = whatOf(record)
      if (what === undefined) return
      const kept = records.put(record.length > LONG_CHARACTERS ? withoutContent(record) : record)
      if (!kept || listeners.size === 0) return
      const entry = find(record.substr(BEGINNINGS[what].length, ID_LENGTH))
      if (entry) for (const listener of listeners) listener(entry, what)
    },
    since(from) {
      const kept: string[] = []
      for (let number = Math.max(from, records.first); number < records.next; number++)
        kept.push(records.text(number) as string)
      return { records: kept, next: records.next }
    },
    entries,
    find,
    follow(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

function whatOf(record: string): What | undefined {
  if (record.startsWith(BEGINNINGS.decision)) return 'decision'
  return record.startsWith(BEGINNINGS.outcome) ? 'outcome' : undefined
}

function joined(decisionText: string | undefined, outcomeText: string | undefined): Members {
  if (decisionText === undefined) return {}
  const decision = shown(decisionText)
  if (outcomeText === undefined) return decision
  const { event: _, timestamp: ended_at, http, ...rest } = shown(outcomeText)
  return { ...decision, ...rest, http: { ...(decision.http as object), ...(http as object) }, ended_at }
}

const withoutContent = (record: string): string => JSON.stringify(shown(record))

/** A policy may want content in the audit log; a screen is another place. Of a body, the model and what is no text is kept. */
function shown(recordText: string): Members {
  const { response: _, ...record } = JSON.parse(recordText) as Members
  const request = (record.input as { request?: Members } | undefined)?.request
  if (request && typeof request.body === 'object' && request.body !== null) {
    request.body = Object.fromEntries(
      Object.entries(request.body).filter(
        ([key, value]) =>
          value === null || (typeof value !== 'object' && (typeof value !== 'string' || key === 'model')),
      ),
    )
  }
  return record
}
