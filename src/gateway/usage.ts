/**
 * What a gateway tells an operator of usage.
 */
import type { UsageBook } from '../contract/usage.ts'
import { firstDay, USAGE_GROUPS, usageReport } from '../limits/usage-report.ts'

export interface UsageAnswer {
  readonly status: number
  readonly body: object
}

const BY_DEFAULT = { by: 'principal', since: '30d' }

export async function answerUsage(
  book: UsageBook,
  { by = BY_DEFAULT.by, since = BY_DEFAULT.since }: { readonly by?: string; readonly since?: string },
  now: number,
): Promise<UsageAnswer> {
  const group = USAGE_GROUPS.find(name => name === by)
  if (!group) return invalid(`by: expected ${USAGE_GROUPS.join(', ')}`)
  const day = firstDay(since, now)
  if (day === undefined) return invalid('since: expected a duration such as 30d, or a day')
  try {
    return { status: 200, body: usageReport(await book.since(day), group, day) }
  } catch {
    return { status: 503, body: { code: 'overloaded', message: 'The store does not answer' } }
  }
}

function invalid(message: string): UsageAnswer {
  return { status: 400, body: { code: 'invalid_request', message } }
}
