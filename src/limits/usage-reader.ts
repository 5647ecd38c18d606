/**
 * Reads the tokens that an answer reports as it passes: OpenAI's `usage`, llama.cpp's native
 * counts, Ollama's `prompt_eval_count` and `eval_count`, in JSON, server-sent events or lines.
 */

export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
}

export interface UsageReader {
  push(part: Buffer): void
  /** @returns What was reported last; undefined when nothing was. */
  end(): Usage | undefined
  /** Tokens that were generated, as far as can be told from what passed: of a stream, its pieces. */
  generated(): number
  /** Pieces of text that passed, none of them more than was generated; 0 of what is no stream. */
  pieces(): number
}

/** Without a report and without pieces: as the input is estimated. */
const BYTES_PER_TOKEN = 4
/** A longer JSON answer, or a longer line of a stream, is not looked into. */
const MOST_BYTES = 4 * 1024 * 1024

/** One of these stands in whatever reports usage; most parts of a stream have none of them. */
const TELLTALES = ['"usage"', 'eval_count"', 'predicted']

/** @param streamed - Whether the answer is lines, each with a value of its own. */
export function createUsageReader(streamed: boolean): UsageReader {
  return streamed ? lineReader() : documentReader()
}

function documentReader(): UsageReader {
  let parts: Buffer[] = []
  let size = 0
  return {
    push(part) {
      size += part.length
      if (size <= MOST_BYTES) parts.push(part)
      else parts = []
    },
    end() {
      if (size > MOST_BYTES) return undefined
      return usageIn(parts.length === 1 ? (parts[0] as Buffer).toString() : Buffer.concat(parts).toString())
    },
    generated: () => Math.ceil(size / BYTES_PER_TOKEN),
    pieces: () => 0,
  }
}

function lineReader(): UsageReader {
  let rest = ''
  let found: Usage | undefined
  let pieces = 0

  function take(lines: string): void {
    pieces += countPieces(lines)
    if (!TELLTALES.some(word => lines.includes(word))) return
    for (const line of lines.split('\n')) {
      found = usageIn(line.startsWith('data:') ? line.slice(5) : line) ?? found
    }
  }

  return {
    push(part) {
      // One character a byte: a character cut in two stays whole, and the numbers are ASCII.
      const text = rest + part.toString('latin1')
      const end = text.lastIndexOf('\n')
      rest = text.length - end > MOST_BYTES ? '' : text.slice(end + 1)
      if (end >= 0) take(text.slice(0, end))
    },
    end() {
      take(rest)
      rest = ''
      return found
    },
    generated: () => pieces,
    pieces: () => pieces,
  }
}

/** Most servers send a token a piece; one that is empty says who speaks, or why it ended. */
const PIECE =
  /"(?:content|reasoning_content|reasoning|thinking|text|response|delta|arguments)":[^\S\n]*"(?!")/g

/** Lines that have one. */
function countPieces(lines: string): number {
  let pieces = 0
  PIECE.lastIndex = 0
  while (PIECE.test(lines)) {
    pieces++
    const end = lines.indexOf('\n', PIECE.lastIndex)
    if (end < 0) break
    PIECE.lastIndex = end
  }
  return pieces
}

function usageIn(text: string): Usage | undefined {
  if (!TELLTALES.some(word => text.includes(word))) return undefined
  try {
    return usageOf(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** @param value - One JSON value that a server sent. An explicit zero is a zero. */
export function usageOf(value: unknown): Usage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const answer = value as Record<string, unknown>
  const usage = membersOf(answer.usage)
  const timings = membersOf(answer.timings)
  const input = firstCount(
    usage.prompt_tokens,
    usage.input_tokens,
    answer.prompt_eval_count,
    answer.tokens_evaluated,
    promptIn(timings),
  )
  const output = firstCount(
    usage.completion_tokens,
    usage.output_tokens,
    answer.eval_count,
    answer.tokens_predicted,
    timings.predicted_n,
  )
  return input === undefined && output === undefined
    ? undefined
    : { inputTokens: input ?? 0, outputTokens: output ?? 0 }
}

/** llama.cpp counts what it read anew, and apart from it what its cache still held. */
function promptIn({ prompt_n, cache_n }: Record<string, unknown>): number | undefined {
  const read = firstCount(prompt_n)
  return read === undefined ? undefined : read + (firstCount(cache_n) ?? 0)
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function firstCount(...values: unknown[]): number | undefined {
  return values.find((value): value is number => Number.isSafeInteger(value) && (value as number) >= 0)
}
