/**
 * What every answer to a visit says of it: names and values in turn.
 */
import { rateHeaders } from '../limits/rate-headers.ts'
import type { Visit } from './visit.ts'

export function headersOf({ requestId, id, standings, now }: Visit): string[] {
  return ['x-request-id', requestId, 'x-decision-id', id, ...rateHeaders(standings, now)]
}
