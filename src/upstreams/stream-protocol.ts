/**
 * How streams are framed, and how one is ended early so that its reader notices.
 */
import type { Answer } from './call.ts'

/** Server-sent events (OpenAI, llama.cpp) or lines of JSON (Ollama). */
export type StreamProtocol = 'sse' | 'ndjson'

export function protocolOf(answer: Pick<Answer, 'header'>): StreamProtocol | undefined {
  const type = (answer.header('content-type') ?? '').toLowerCase()
  if (type.startsWith('text/event-stream')) return 'sse'
  if (type.startsWith('application/x-ndjson') || type.startsWith('application/ndjson')) return 'ndjson'
  return undefined
}

const SAID = {
  upstream_failed: {
    message: 'The model server broke off',
    type: 'server_error',
    code: 'upstream_unavailable',
  },
  expired: { message: 'The right to this answer has ended', type: 'permission_error', code: 'expired' },
  drained: { message: 'The gateway is stopping', type: 'server_error', code: 'overloaded' },
  revoked: { message: 'The right to this answer was withdrawn', type: 'permission_error', code: 'revoked' },
} as const

/**
 * @param atBoundary - Whether the last byte sent was a line feed: half an event is closed first.
 * @returns What to send last, or undefined where the protocol has no such thing.
 */
export function endingOf(
  protocol: StreamProtocol | undefined,
  why: keyof typeof SAID,
  atBoundary: boolean,
): string | undefined {
  const { message, type, code } = SAID[why]
  const gap = atBoundary ? '' : '\n'
  if (protocol === 'sse')
    return `${gap}\ndata: ${JSON.stringify({ error: { message, type, code, param: null } })}\n\n`
  if (protocol === 'ndjson') return `${gap}${JSON.stringify({ error: message })}\n`
  return undefined
}
