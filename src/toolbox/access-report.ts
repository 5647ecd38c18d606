/**
 * `access report`: from the audit log, who had what, when, on whose word, what of it was used and
 * what never was.
 */
import { partsOf } from '../audit/parts.ts'
import { recordsIn } from '../audit/read-records.ts'
import { mergedByTime } from '../audit/worker-logs.ts'
import { shownPath } from './config.ts'
import { CommandFailure, EXIT, type Format, print, printJson, table } from './output.ts'

interface ReportedGrant {
  readonly id: string
  readonly request: string
  readonly principal: string
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly reason: string
  readonly ticket: string | null
  readonly emergency: boolean
  readonly approved_by: string
  readonly starts_at: string
  readonly expires_at: string
  /** How and when it ended, if not at its time. */
  ended: { readonly how: string; readonly at: string; readonly by: string | null } | null
  requests: number
  tokens: number
  last_used_at: string | null
}

interface ReportedRequest {
  readonly id: string
  readonly principal: string
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly reason: string
  readonly asked_at: string
  outcome: string
  by: string | null
}

interface Report {
  readonly since: string
  readonly grants: readonly ReportedGrant[]
  readonly never_used: readonly string[]
  /** What was asked for and not granted. */
  readonly not_granted: readonly ReportedRequest[]
}

/** @param sinceMs - How far back. @param files - Audit logs, with their rotated parts. */
export async function reportAccess(sinceMs: number, files: readonly string[], format: Format): Promise<void> {
  const book = await read(files)
  const since = new Date(Date.now() - sinceMs).toISOString()
  const grants = [...book.grants.values()].filter(
    ({ ended, expires_at }) => (ended?.at ?? expires_at) >= since,
  )
  const report: Report = {
    since,
    grants,
    never_used: grants.filter(({ requests }) => requests === 0).map(({ id }) => id),
    not_granted: [...book.requests.values()].filter(
      ({ outcome, asked_at }) => outcome !== 'approved' && asked_at >= since,
    ),
  }
  if (format === 'json') printJson(report)
  else print(told(report))
}

interface Book {
  readonly grants: Map<string, ReportedGrant>
  readonly requests: Map<string, ReportedRequest>
}

async function read(files: readonly string[]): Promise<Book> {
  const book: Book = { grants: new Map(), requests: new Map() }
  const [only, ...others] = files
  if (only !== undefined && others.length === 0) {
    await readLog(only, text => note(JSON.parse(text), book))
    return book
  }
  // What was asked of one worker may have been approved at another: a step is known by its time.
  const logs: string[][] = []
  for (const file of files) {
    const lines: string[] = []
    await readLog(file, text => void lines.push(text))
    logs.push(lines)
  }
  for (const text of mergedByTime(logs)) note(JSON.parse(text), book)
  return book
}

/** @param take - Given what may tell something. */
async function readLog(log: string, take: (text: string) => void): Promise<void> {
  for (const file of partsOf(log)) {
    try {
      for await (const batch of recordsIn(file))
        for (const { text } of batch) if (MAY_TELL.test(text)) take(text)
    } catch (error) {
      throw new CommandFailure(EXIT.failure, `cannot read ${shownPath(file)}: ${(error as Error).message}`)
    }
  }
}

/** Most lines tell nothing of access and are not worth parsing. */
const MAY_TELL = /^\{"event":"access\.|"grants":\[\{"id":"g_/

interface AccessLine {
  readonly event: string
  readonly timestamp: string
  readonly access_request: string
  readonly grant?: string
  readonly principal: { readonly id: string }
  readonly models: readonly string[]
  readonly roles: readonly string[]
  readonly reason: string
  readonly ticket: string | null
  readonly emergency: boolean
  readonly by: string | null
  readonly approvals?: readonly string[]
  readonly starts_at?: string
  readonly expires_at?: string
  readonly why?: string
}

interface RequestLine {
  readonly event: string
  readonly timestamp: string
  readonly code?: string
  readonly grants?: readonly { readonly id: string }[]
  readonly usage?: { readonly input_tokens: number; readonly output_tokens: number }
}

function note(line: AccessLine | RequestLine, book: Book): void {
  if ('access_request' in line) noteAccess(line, book)
  else noteUse(line as RequestLine, book)
}

function noteUse({ event, timestamp, code, grants = [], usage }: RequestLine, book: Book): void {
  for (const { id } of grants) {
    const grant = book.grants.get(id)
    if (!grant) continue
    if (event === 'decision' && code === undefined) {
      grant.requests++
      grant.last_used_at = timestamp
    }
    if (event === 'outcome' && usage) grant.tokens += usage.input_tokens + usage.output_tokens
  }
}

function noteAccess(line: AccessLine, book: Book): void {
  const { event, timestamp, principal, models, roles, reason } = line
  const asked = book.requests.get(line.access_request)
  const grant = line.grant === undefined ? undefined : book.grants.get(line.grant)
  switch (event) {
    case 'access.requested':
      book.requests.set(line.access_request, {
        id: line.access_request,
        principal: principal.id,
        models,
        roles,
        reason,
        asked_at: timestamp,
        outcome: 'pending',
        by: null,
      })
      return
    case 'access.approved':
      // One of several approvals makes no grant yet.
      if (line.grant === undefined) return
      if (asked) asked.outcome = 'approved'
      book.grants.set(line.grant, granted(line, line.grant))
      return
    case 'access.denied':
      if (asked) Object.assign(asked, { outcome: 'denied', by: line.by })
      return
    case 'access.expired':
      if (grant) grant.ended = { how: line.why ?? 'expired', at: timestamp, by: null }
      else if (asked) asked.outcome = 'expired'
      return
    case 'access.revoked':
    case 'access.returned':
      if (grant) grant.ended = { how: event.slice('access.'.length), at: timestamp, by: line.by }
  }
}

function granted(line: AccessLine, id: string): ReportedGrant {
  return {
    id,
    request: line.access_request,
    principal: line.principal.id,
    models: line.models,
    roles: line.roles,
    reason: line.reason,
    ticket: line.ticket,
    emergency: line.emergency,
    approved_by: line.approvals?.join(', ') || (line.by ?? ''),
    starts_at: line.starts_at ?? line.timestamp,
    expires_at: line.expires_at ?? '',
    ended: null,
    requests: 0,
    tokens: 0,
    last_used_at: null,
  }
}

function told({ since, grants, never_used, not_granted }: Report): string {
  const rows = grants.map(grant => [
    `${grant.id}${grant.emergency ? ' (emergency)' : ''}`,
    grant.principal,
    [...grant.models, ...grant.roles].join(', '),
    grant.starts_at,
    grant.ended ? `${grant.ended.at} ${grant.ended.how}` : grant.expires_at,
    grant.approved_by,
    grant.requests === 0 ? 'never' : `${grant.requests} requests, ${grant.tokens} tokens`,
    [grant.ticket, grant.reason].filter(Boolean).join(': '),
  ])
  const refused = not_granted.map(one => [
    one.id,
    one.principal,
    [...one.models, ...one.roles].join(', '),
    one.asked_at,
    one.by === null ? one.outcome : `${one.outcome} by ${one.by}`,
    one.reason,
  ])
  return [
    `Since ${since}: ${grants.length} grants, ${never_used.length} of them never used`,
    table([['GRANT', 'HOLDER', 'FOR', 'FROM', 'UNTIL', 'ON THE WORD OF', 'USED', 'REASON'], ...rows]),
    table([['NOT GRANTED', 'WHO', 'FOR', 'ASKED', 'OUTCOME', 'REASON'], ...refused]),
  ].join('\n\n')
}
