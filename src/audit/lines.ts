/**
 * The lines of a file as they are on disk: split at line feeds alone, one character a byte
 * (latin1), so that nothing is lost to decoding and hashes can be checked.
 */
import { createReadStream } from 'node:fs'

export interface Line {
  readonly text: string
  /** Where the line begins, in bytes. */
  readonly start: number
  /** False when the file ends before the line does. */
  readonly whole: boolean
}

/** @throws when the file cannot be read. Memory is bounded by the longest line. */
export async function* linesOf(file: string): AsyncGenerator<Line> {
  let rest = ''
  let start = 0
  for await (const chunk of createReadStream(file, { encoding: 'latin1', highWaterMark: 1 << 18 })) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    for (const text of parts) {
      yield { text, start, whole: true }
      start += text.length + 1
    }
  }
  if (rest !== '') yield { text: rest, start, whole: false }
}
