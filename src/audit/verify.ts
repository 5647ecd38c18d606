/**
 * Verification: reads a log line by line and names each line that is not what was written.
 *
 * Memory is bounded by the longest line, not by the file.
 */
import { existsSync, readFileSync } from 'node:fs'
import { GENESIS, type Link, read } from './chain.ts'
import { linesOf } from './lines.ts'

export type ProblemKind =
  /** The bytes of the line are not those that were hashed. */
  | 'changed'
  /** The line is not a record at all, or stops half-way. */
  | 'torn'
  /** One or more lines between this one and the one before are not there. */
  | 'removed'
  /** The line stands after one that was written later. */
  | 'reordered'
  /** Whole, in place, and yet not the successor of the line before: one of the two was replaced. */
  | 'replaced'
  /** `FILE.head` knows of later lines. */
  | 'truncated'

export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly seq: number | null
  readonly kind: ProblemKind
}

export interface Verification {
  readonly ok: boolean
  readonly records: number
  readonly problems: readonly Problem[]
  /** Whether a `FILE.head` vouches that no line is missing at the end. */
  readonly anchored: boolean
}

/**
 * @param files - In the order in which they were written, oldest first.
 * @throws when a file cannot be read.
 */
export async function verify(files: readonly string[]): Promise<Verification> {
  const problems: Problem[] = []
  const head = readHead(files.at(-1))
  let records = 0
  let before: Link = GENESIS
  let atHead: Link | undefined
  let place = { file: files.at(-1) ?? '', line: 0 }

  for (const file of files) {
    let number = 0
    for await (const { text, whole } of linesOf(file)) {
      number++
      if (text === '') continue
      records++
      place = { file, line: number }
      const reading = read(text)
      if (!whole || !reading.ok) {
        const seq = reading.ok ? reading.link.seq : (reading.seq ?? null)
        problems.push({ ...place, seq, kind: !whole || seq === null ? 'torn' : 'changed' })
        // The next line is judged against where this one ought to have been.
        before = { seq: before.seq + 1, hash: UNKNOWN }
        continue
      }
      const kind = judge(reading.link, reading.prev, before)
      if (kind) problems.push({ ...place, seq: reading.link.seq, kind })
      if (reading.link.seq === head?.seq) atHead = reading.link
      if (kind !== 'reordered') before = reading.link
    }
  }
  if (head && before.seq < head.seq) problems.push({ ...place, seq: head.seq, kind: 'truncated' })
  else if (head && atHead && atHead.hash !== head.hash)
    problems.push({ ...place, seq: head.seq, kind: 'replaced' })
  return { ok: problems.length === 0, records, problems, anchored: head !== undefined }
}

/** Stands for the hash of a line whose bytes were changed: nothing can be said of what follows it. */
const UNKNOWN = ''

function judge(link: Link, prev: string, before: Link): ProblemKind | undefined {
  if (link.seq <= before.seq) return 'reordered'
  if (link.seq > before.seq + 1) return 'removed'
  return before.hash !== UNKNOWN && prev !== before.hash ? 'replaced' : undefined
}

/** `FILE.head`, if it is there and whole. */
export function readHead(file: string | undefined): Link | undefined {
  if (file === undefined || !existsSync(`${file}.head`)) return undefined
  try {
    const head = JSON.parse(readFileSync(`${file}.head`, 'utf8')) as Partial<Link>
    if (typeof head.seq === 'number' && typeof head.hash === 'string')
      return { seq: head.seq, hash: head.hash }
  } catch {
    // Half a head vouches for nothing.
  }
  return undefined
}
