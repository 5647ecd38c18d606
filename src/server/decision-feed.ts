/**
 * The decision feed: the latest decisions, as a list, one by one, or live as they are made.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { openEventStream, wantsEvents } from './event-stream.ts'

/** What is known of one decision; its outcome is added when the request ends. */
export interface DecisionEntry {
  /** Where a client that comes back goes on. */
  readonly cursor: string
  view(): DecisionView
}

/** The record, as far as it is filtered by. */
export interface DecisionView {
  readonly decision_id?: unknown
  readonly code?: unknown
  readonly outcome?: unknown
  readonly pool?: unknown
  readonly principal?: { readonly id?: unknown }
  readonly input?: { readonly request?: { readonly model?: unknown } }
  readonly result?: { readonly rule?: unknown; readonly allow?: unknown }
}

export interface DecisionJournal {
  /** Where what is looked at has to be gathered first. */
  fresh?(): Promise<void>
  /** The oldest first. */
  entries(): Iterable<DecisionEntry>
  find(id: string): DecisionEntry | undefined
  /** @returns what ends it. */
  follow(listener: (entry: DecisionEntry, what: 'decision' | 'outcome') => void): () => void
}

export interface DecisionFeed {
  /** Answers with a list, or with events. */
  answer(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void>
  /** JSON text; undefined when it is not known, or no longer. */
  find(id: string): Promise<string | undefined>
}

/** Which decisions are wanted. */
export type DecisionFilter = (view: DecisionView) => boolean

export class BadFilter extends Error {
  override readonly name = 'BadFilter'
}

const MOST_LISTED = 1000
const LISTED = 100
/** Each holds a socket. */
const MOST_FOLLOWERS = 50

export function createDecisionFeed(journal: DecisionJournal): DecisionFeed {
  let followers = 0

  function latest(query: URLSearchParams, after: string | undefined): DecisionEntry[] {
    const wanted = filterOf(query)
    const entries = [...journal.entries()]
    const since = after === undefined ? -1 : entries.findIndex(({ cursor }) => cursor === after)
    const fitting: DecisionEntry[] = []
    const limit = limitOf(query, after === undefined ? LISTED : MOST_LISTED)
    for (let index = entries.length - 1; index > since && fitting.length < limit; index--) {
      const entry = entries[index] as DecisionEntry
      if (wanted(entry.view())) fitting.push(entry)
    }
    return fitting
  }

  function list(response: ServerResponse, query: URLSearchParams): void {
    const decisions = latest(query, undefined).map(entry => JSON.stringify(entry.view()))
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(`{"decisions":[${decisions.join()}]}`)
  }

  function follow(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const wanted = filterOf(query)
    const outcomes = query.get('outcomes') === 'true'
    const { 'last-event-id': after } = request.headers
    const backlog = latest(query, [after].flat()[0]).reverse()
    followers++
    const stream = openEventStream(response, () => {
      followers--
      stop()
    })
    const send = (entry: DecisionEntry): void =>
      stream.send({ id: entry.cursor, data: JSON.stringify(entry.view()) })
    for (const entry of backlog) send(entry)
    const stop = journal.follow((entry, what) => {
      if (!wanted(entry.view())) return
      if (what === 'decision') send(entry)
      else if (outcomes) stream.send({ event: 'outcome', data: JSON.stringify(entry.view()) })
    })
  }

  return {
    async answer(request, response, query) {
      await journal.fresh?.()
      if (!wantsEvents(request)) return list(response, query)
      if (followers >= MOST_FOLLOWERS) {
        response.writeHead(503, { 'retry-after': '5' }).end()
        return
      }
      follow(request, response, query)
    },
    async find(id) {
      await journal.fresh?.()
      const entry = journal.find(id)
      return entry && JSON.stringify(entry.view())
    },
  }
}

const FIELDS: Readonly<Record<string, (view: DecisionView) => unknown>> = {
  principal: view => view.principal?.id,
  model: view => view.input?.request?.model,
  rule: view => view.result?.rule,
  code: view => view.code,
  outcome: view => view.outcome,
  pool: view => view.pool,
  /** As the caller saw it: what a limit refused was not let through, whatever the policy said. */
  allow: view => String(view.code === undefined && view.result?.allow !== false),
}

/** @throws BadFilter */
function filterOf(query: URLSearchParams): DecisionFilter {
  const wanted: [(view: DecisionView) => unknown, readonly string[]][] = []
  for (const name of new Set(query.keys())) {
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (field) wanted.push([field, query.getAll(name)])
    else if (name !== 'limit' && name !== 'outcomes')
      throw new BadFilter(`known are ${[...Object.keys(FIELDS), 'limit', 'outcomes'].join(', ')}`)
  }
  const allow = query.get('allow')
  if (allow !== null && allow !== 'true' && allow !== 'false') throw new BadFilter('allow: true or false')
  return view => wanted.every(([field, values]) => values.includes(String(field(view))))
}

/** @throws BadFilter */
function limitOf(query: URLSearchParams, fallback: number): number {
  const text = query.get('limit')
  if (text === null) return fallback
  if (!/^\d{1,6}$/.test(text)) throw new BadFilter('limit: a whole number')
  return Math.min(Number(text), MOST_LISTED)
}
