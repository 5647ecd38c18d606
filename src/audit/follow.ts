/**
 * Follows a log as it is written, over rotations: every whole line once, in order.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { rotatedParts } from './parts.ts'
import { recordsIn } from './read-records.ts'

export interface FollowOptions {
  /** Lines up to this one are known; what follows is told. */
  readonly afterSeq: number
  readonly intervalMs: number
  readonly signal: AbortSignal
  onLine(text: string): void
}

const CHUNK_BYTES = 1 << 18
const LATE_BYTES = 16 * 1024 * 1024

export async function follow(file: string, options: FollowOptions): Promise<void> {
  const { intervalMs, signal, onLine } = options
  let seq = options.afterSeq
  let isFirst = true
  let opened: { readonly fd: number; readonly ino: number; at: number; rest: Buffer } | undefined

  function take(line: Buffer): void {
    const text = line.toString('utf8')
    const own = seqOf(text)
    if (own !== undefined && own <= seq) return
    if (own !== undefined) seq = own
    if (text !== '') onLine(text)
  }

  function readOn(from: NonNullable<typeof opened>): void {
    const memory = Buffer.allocUnsafe(CHUNK_BYTES)
    // Cut short by somebody else: begun again.
    if (fstatSync(from.fd).size < from.at) Object.assign(from, { at: 0, rest: Buffer.alloc(0) })
    for (;;) {
      const count = readSync(from.fd, memory, 0, CHUNK_BYTES, from.at)
      if (count === 0) return
      from.at += count
      const bytes = Buffer.concat([from.rest, memory.subarray(0, count)])
      let start = 0
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
        take(bytes.subarray(start, end))
        start = end + 1
      }
      from.rest = Buffer.from(bytes.subarray(start))
    }
  }

  /** @param late - From near its end on: half a line, and those that are known, are passed over. */
  function open(late: boolean): NonNullable<typeof opened> {
    const fd = openSync(file, 'r')
    const { ino, size } = fstatSync(fd)
    return { fd, ino, at: late ? Math.max(0, size - LATE_BYTES) : 0, rest: Buffer.alloc(0) }
  }

  /** What was rotated away since it was last looked, should that have been more than one part. */
  async function readMissed(): Promise<void> {
    const missed: string[] = []
    for (const { path } of rotatedParts(file).reverse()) {
      const first = await firstSeq(path)
      if (first !== undefined && first > seq) missed.unshift(path)
      else {
        missed.unshift(path)
        break
      }
    }
    for (const path of missed)
      for await (const batch of recordsIn(path)) for (const { text } of batch) take(Buffer.from(text))
  }

  try {
    while (!signal.aborted) {
      const stats = statSync(file, { throwIfNoEntry: false })
      if (opened) readOn(opened)
      if (stats && stats.ino !== opened?.ino) {
        if (opened) {
          closeSync(opened.fd)
          opened = undefined
          await readMissed().catch(() => {})
        }
        opened = open(isFirst && seq > 0)
        isFirst = false
        readOn(opened)
      }
      await setTimeout(intervalMs, undefined, { signal }).catch(() => {})
    }
  } finally {
    if (opened) closeSync(opened.fd)
  }
}

async function firstSeq(part: string): Promise<number | undefined> {
  for await (const batch of recordsIn(part)) for (const { text } of batch) return seqOf(text)
  return undefined
}

const SEQ = /"chain":\{"seq":(\d{1,15}),"prev":"[0-9a-f]{64}","hash":"[0-9a-f]{64}"\}\}$/
const LONGEST_CHAIN = 200

function seqOf(text: string): number | undefined {
  const seq = SEQ.exec(text.slice(-LONGEST_CHAIN))?.[1]
  return seq === undefined ? undefined : Number(seq)
}
