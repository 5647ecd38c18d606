/**
 * Journal: the latest decisions, for reading. What is written to the audit log is handed on as it is,
 * message content left out, and read only when somebody looks.
 */
export interface Journal {
  /** Takes a record of the audit log once it is written, JSON text. Events of other kinds are let pass. */
  take(record: string): void
  /** The oldest first. */
  entries(): Iterable<JournalEntry>
  find(id: string): JournalEntry | undefined
  /** @returns what ends it. */
  follow(listener: (entry: JournalEntry, what: 'decision' | 'outcome') => void): () => void
}

export interface JournalEntry {
  readonly cursor: string
  /** The decision's record with, once the request has ended, what its outcome's adds. */
  view(): Readonly<Record<string, unknown>>
}

export interface JournalNeeds {
  /** Tells this run's cursors from another's. */
  readonly run: string
  readonly mostEntries?: number
  readonly mostCharacters?: number
}

const RECORD = /^\{"event":"(decision|outcome)","decision_id":"([0-9A-Z]{26})"/

type Members = Record<string, unknown>

class Entry implements JournalEntry {
  outcome: string | undefined
  #view: Members | undefined

  constructor(
    readonly cursor: string,
    readonly decision: string,
  ) {}

  get size(): number {
    return this.decision.length + (this.outcome?.length ?? 0)
  }

  end(outcome: string): void {
    this.outcome = outcome
    this.#view = undefined
  }

  view(): Members {
    this.#view ??= this.#read()
    return this.#view
  }

  #read(): Members {
    const decision = JSON.parse(this.decision) as Members
    dropContent(decision)
    if (this.outcome === undefined) return decision
    const { event: _, timestamp: ended_at, response: __, http, ...rest } = JSON.parse(this.outcome) as Members
    return { ...decision, ...rest, http: { ...(decision.http as object), ...(http as object) }, ended_at }
  }
}

export function createJournal({
  run,
  mostEntries = 1000,
  mostCharacters = 32 * 1024 * 1024,
}: JournalNeeds): Journal {
  const entries = new Map<string, Entry>()
  const listeners = new Set<(entry: JournalEntry, what: 'decision' | 'outcome') => void>()
  let size = 0
  let count = 0

  function decided(id: string, record: string): Entry {
    const entry = new Entry(`${run}-${++count}`, record)
    entries.set(id, entry)
    size += entry.size
    return entry
  }

  function ended(id: string, record: string): Entry | undefined {
    const entry = entries.get(id)
    entry?.end(record)
    if (entry) size += record.length
    return entry
  }

  function forgetOldest(): void {
    for (const [id, entry] of entries) {
      if (entries.size <= mostEntries && size <= mostCharacters) return
      entries.delete(id)
      size -= entry.size
    }
  }

  return {
    take(record) {
      const [, what, id = ''] = RECORD.exec(record) ?? []
      if (what !== 'decision' && what !== 'outcome') return
      const entry = what === 'decision' ? decided(id, record) : ended(id, record)
      forgetOldest()
      if (entry) for (const listener of listeners) listener(entry, what)
    },
    entries: () => entries.values(),
    find: id => entries.get(id),
    follow(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** A policy may want content in the audit log; a screen is another place. Of a body, the model and what is no text is kept. */
function dropContent(record: Members): void {
  const request = (record.input as { request?: Members } | undefined)?.request
  if (!request || typeof request.body !== 'object' || request.body === null) return
  request.body = Object.fromEntries(
    Object.entries(request.body).filter(
      ([key, value]) =>
        value === null || (typeof value !== 'object' && (typeof value !== 'string' || key === 'model')),
    ),
  )
}
