/**
 * Which conversation a request belongs to: what stays the same from its first turn to its last.
 *
 * That is everything up to and with the first message of the user, and of a plain prompt its first
 * characters.
 */
import { hashText } from './balance/prefix.ts'

/**
 * @param body - What the request says: OpenAI's, Ollama's or llama.cpp's form.
 * @param characters - How much of the beginning counts.
 * @returns A key; undefined for a request that has no beginning to share.
 */
export function conversationOf(body: unknown, model: string | null, characters: number): number | undefined {
  if (!isRecord(body)) return undefined
  const parts = Array.isArray(body.messages)
    ? openingOf(body.messages)
    : [body.system, body.input_prefix, body.prompt].filter(part => typeof part === 'string')
  if (parts.length === 0) return undefined
  let key = hashText(model ?? '')
  let left = characters
  for (const part of parts) {
    if (left <= 0) break
    key = hashText(part.slice(0, left), hashText('\n', key))
    left -= part.length
  }
  return key
}

function openingOf(messages: readonly unknown[]): string[] {
  const parts: string[] = []
  for (const message of messages) {
    if (!isRecord(message)) continue
    parts.push(textOf(message.content))
    if (message.role === 'user') break
  }
  return parts
}

/** Parts of other kinds than text count too: an image is part of the beginning. */
function textOf(content: unknown): string {
  return typeof content === 'string' ? content : (JSON.stringify(content) ?? '')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
