/**
 * Requests as an audit log tells them: a decision and, for what was let through, its outcome, in one row.
 */

/** The columns of an export, in their order; what is not known is null. */
export interface RequestRow {
  readonly timestamp: string
  readonly decision_id: string
  readonly request_id: string | null
  readonly principal: string | null
  readonly team: string | null
  readonly key_id: string | null
  readonly client_ip: string | null
  readonly method: string | null
  readonly path: string | null
  readonly operation: string | null
  readonly model: string | null
  readonly stream: boolean | null
  readonly allow: boolean
  readonly rule: string | null
  /** `open` where the log does not say how it ended. */
  readonly outcome: string
  readonly code: string | null
  readonly status: number | null
  readonly pool: string | null
  readonly target: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly cost: number | null
  readonly estimated: boolean | null
  readonly bytes_in: number | null
  readonly bytes_out: number | null
  readonly decide_ms: number | null
  readonly queue_ms: number | null
  readonly first_byte_ms: number | null
  readonly total_ms: number | null
  readonly revision: string | null
}

export const COLUMNS: readonly (keyof RequestRow)[] = [
  'timestamp',
  'decision_id',
  'request_id',
  'principal',
  'team',
  'key_id',
  'client_ip',
  'method',
  'path',
  'operation',
  'model',
  'stream',
  'allow',
  'rule',
  'outcome',
  'code',
  'status',
  'pool',
  'target',
  'input_tokens',
  'output_tokens',
  'cost',
  'estimated',
  'bytes_in',
  'bytes_out',
  'decide_ms',
  'queue_ms',
  'first_byte_ms',
  'total_ms',
  'revision',
]

export interface Requests {
  take(line: string): void
  /** Tells what is still open. */
  end(): void
  /** Lines that are no records, and outcomes without a decision. */
  counts(): { readonly torn: number; readonly orphans: number }
}

export interface RequestsNeeds {
  /** In the order in which they ended. @param lines - The records that tell of it. */
  onRequest(row: RequestRow, lines: readonly string[]): void
  /** Anything else in the log. */
  onEvent?(event: string, record: Readonly<Record<string, unknown>>, line: string): void
}

/** What is still open is held; a log in which more never end is no log of ours. */
const MOST_OPEN = 100_000

export function createRequests({ onRequest, onEvent }: RequestsNeeds): Requests {
  const open = new Map<string, { readonly row: RequestRow; readonly line: string }>()
  const counts = { torn: 0, orphans: 0 }

  function take(line: string): void {
    const record = parsed(line)
    if (!record) {
      counts.torn++
      return
    }
    const { event = 'decision', decision_id: id } = record
    if (event === 'outcome') end(record, line)
    else if (event === 'decision' && typeof id === 'string') begin(record, id, line)
    else onEvent?.(String(event), record, line)
  }

  function begin(record: Fields, id: string, line: string): void {
    const row = decisionRow(record, id)
    open.delete(id)
    // OPA's own decision logs know no outcomes.
    if (row.outcome !== 'open' || record.event === undefined) {
      onRequest(row, [line])
      return
    }
    if (open.size >= MOST_OPEN) endOldest()
    open.set(id, { row, line })
  }

  function end(record: Fields, line: string): void {
    const id = String(record.decision_id)
    const begun = open.get(id)
    open.delete(id)
    if (begun) onRequest(withOutcome(begun.row, record), [begun.line, line])
    else counts.orphans++
  }

  function endOldest(): void {
    const [oldest] = open
    if (!oldest) return
    open.delete(oldest[0])
    onRequest(oldest[1].row, [oldest[1].line])
  }

  return {
    take,
    end() {
      while (open.size > 0) endOldest()
    },
    counts: () => counts,
  }
}

type Fields = Readonly<Record<string, unknown>>

function parsed(line: string): Fields | undefined {
  try {
    return fields(JSON.parse(line))
  } catch {
    return undefined
  }
}

function decisionRow(record: Fields, id: string): RequestRow {
  const input = fields(record.input)
  const request = fields(input.request)
  const principal = fields(record.principal ?? input.principal)
  const result = fields(record.result)
  const http = fields(record.http)
  const gateway = fields(fields(record.bundles).gateway)
  const refused = record.outcome === 'refused'
  return {
    timestamp: word(record.timestamp) ?? '',
    decision_id: id,
    request_id: word(record.request_id),
    principal: word(principal.id),
    team: word(principal.team),
    key_id: word(principal.key_id),
    client_ip: word(record.requested_by),
    method: word(http.method),
    path: word(http.path),
    operation: word(request.operation),
    model: word(request.model),
    stream: truth(request.stream),
    allow: !refused && (record.result === true || result.allow === true),
    rule: word(result.rule),
    outcome: refused ? 'refused' : 'open',
    code: word(record.code),
    status: number(http.status),
    pool: null,
    target: null,
    input_tokens: null,
    output_tokens: null,
    cost: null,
    estimated: null,
    bytes_in: null,
    bytes_out: null,
    decide_ms: milliseconds(fields(record.metrics).timer_policy_eval_ns),
    queue_ms: null,
    first_byte_ms: null,
    total_ms: null,
    revision: word(gateway.revision),
  }
}

function withOutcome(row: RequestRow, record: Fields): RequestRow {
  const http = fields(record.http)
  const usage = fields(record.usage)
  const timings = fields(record.timings)
  return {
    ...row,
    outcome: word(record.outcome) ?? 'open',
    code: word(record.code),
    status: number(http.status),
    pool: word(record.pool),
    target: word(record.target),
    input_tokens: number(usage.input_tokens),
    output_tokens: number(usage.output_tokens),
    cost: number(usage.cost),
    estimated: truth(usage.estimated),
    bytes_in: number(http.bytes_in),
    bytes_out: number(http.bytes_out),
    queue_ms: number(timings.queue),
    first_byte_ms: number(timings.first_byte),
    total_ms: number(timings.total),
  }
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function word(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}

function truth(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null
}

function milliseconds(nanoseconds: unknown): number | null {
  return typeof nanoseconds === 'number' ? nanoseconds / 1e6 : null
}
