/**
 * Verification: reads a log line by line and names each line that is not what was written.
 *
 * Memory is bounded by the longest line, not by the file.
 */
import type { KeyObject } from 'node:crypto'
import { GENESIS, type Link, read } from './chain.ts'
import { CHECKPOINT_START, checkedCheckpoint } from './checkpoint.ts'
import { type Head, readHead } from './head.ts'
import { type Line, linesInBatches } from './lines.ts'
import { closeParts, type OpenPart, openParts } from './parts.ts'

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
  /** A checkpoint that does not sign what stands before it, with any of the given keys. */
  | 'forged'
  /** More records since the last good checkpoint than there ever are. */
  | 'unsigned'

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
  /** The first 10,000. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
  /** Whether a `FILE.head` vouches that no line is missing at the end. */
  readonly anchored: boolean
  /** Records before this one were removed by retention, as `FILE.head` says. */
  readonly prunedBefore?: number
  /** The last record that a checkpoint vouches for, where keys were given; 0 for none. */
  readonly signedUpTo?: number
}

export interface VerifyOptions {
  /** Of checkpoints: with them every checkpoint is checked, and there must be some. */
  readonly publicKeys?: readonly KeyObject[]
  onLines?(count: number): void
}

const MOST_PROBLEMS = 10_000
/** Stands for the hash of a line whose bytes were changed: nothing can be said of what follows it. */
const UNKNOWN = ''

/**
 * @param list - The files in the order in which they were written, oldest first; as a function, of a log
 *   that may be rotated meanwhile.
 * @throws when a file cannot be read.
 */
export async function verify(
  list: readonly string[] | (() => readonly string[]),
  options: VerifyOptions = {},
): Promise<Verification> {
  const listed = typeof list === 'function' ? list : () => list
  const last = listed().at(-1) ?? ''
  // Before the files: what is written later is no surprise.
  const head = readHead(last)
  const parts = openParts(listed)
  try {
    return await verified(parts, last, head, options)
  } finally {
    closeParts(parts)
  }
}

async function verified(
  parts: readonly OpenPart[],
  last: string,
  head: Head | undefined,
  options: VerifyOptions,
): Promise<Verification> {
  const reader = createReader(head, options.publicKeys ?? [])
  reader.at(last, 0)
  for (const part of parts) {
    const file = part.path
    let number = 0
    for await (const batch of linesInBatches(part)) {
      for (const line of batch) {
        number++
        if (line.text === '' && line.whole) continue
        reader.at(file, number)
        reader.take(line)
      }
      options.onLines?.(batch.length)
    }
  }
  return reader.end()
}

function createReader(head: Head | undefined, keys: readonly KeyObject[]) {
  const problems: Problem[] = []
  let problemCount = 0
  let records = 0
  let before: Link | undefined
  let atHead: Link | undefined
  let prunedBefore: number | undefined
  let place = { file: '', line: 0 }
  let signedUpTo = 0
  let every: number | undefined
  let isTold = false

  function tell(kind: ProblemKind, seq: number | null): void {
    problemCount++
    if (problems.length < MOST_PROBLEMS) problems.push({ ...place, seq, kind })
  }

  /** What the first line follows: nothing, or what retention removed. */
  function beginning(first: Link): Link {
    const base = head?.base
    if (!base || first.seq === 1 || first.seq > base.seq + 1) return GENESIS
    prunedBefore = first.seq
    return first.seq === base.seq + 1 ? base : { seq: first.seq - 1, hash: UNKNOWN }
  }

  function take({ text, whole }: Line): void {
    records++
    const reading = read(text)
    if (!whole || !reading.ok) {
      const seq = reading.ok ? reading.link.seq : (reading.seq ?? null)
      tell(!whole || seq === null ? 'torn' : 'changed', seq)
      // The next line is judged against where this one ought to have been.
      before = { seq: (before?.seq ?? 0) + 1, hash: UNKNOWN }
      return
    }
    const { link, prev } = reading
    before ??= beginning(link)
    const kind = judge(link, prev, before)
    if (kind) tell(kind, link.seq)
    if (keys.length > 0) judgeSignature(text, link, prev)
    if (link.seq === head?.seq) atHead = link
    if (kind !== 'reordered') before = link
  }

  function judgeSignature(text: string, { seq }: Link, prev: string): void {
    if (!text.startsWith(CHECKPOINT_START)) {
      if (every !== undefined && seq > signedUpTo + every + 1 && !isTold) {
        isTold = true
        tell('unsigned', seq)
      }
      return
    }
    const good = checkedCheckpoint(text, { seq: seq - 1, hash: prev }, keys)
    if (!good) {
      tell('forged', seq)
      return
    }
    every = good.every
    signedUpTo = seq - 1
    isTold = false
  }

  return {
    at(file: string, line: number): void {
      place = { file, line }
    },
    take,
    end(): Verification {
      const reached = before?.seq ?? 0
      if (head && reached < head.seq) tell('truncated', head.seq)
      else if (head && atHead && atHead.hash !== head.hash) tell('replaced', head.seq)
      if (keys.length > 0 && records > 0 && signedUpTo === 0) tell('unsigned', reached)
      return {
        ok: problemCount === 0,
        records,
        problems,
        problemCount,
        anchored: head !== undefined,
        ...(prunedBefore === undefined ? {} : { prunedBefore }),
        ...(keys.length > 0 ? { signedUpTo } : {}),
      }
    },
  }
}

function judge(link: Link, prev: string, before: Link): ProblemKind | undefined {
  if (link.seq <= before.seq) return 'reordered'
  if (link.seq > before.seq + 1) return 'removed'
  return before.hash !== UNKNOWN && prev !== before.hash ? 'replaced' : undefined
}
