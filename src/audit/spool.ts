/**
 * The spool: a bounded queue of records on disk, between the gateway and a server that may be slow or dead.
 *
 * Segments of JSON lines, `NUMBER.jsonl`, oldest lowest. A record is in it when `append` returns; a segment
 * goes when it was delivered. When there is no room the oldest segment goes undelivered, unless the spool
 * is all there is.
 */
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { GENESIS, type Link, read } from './chain.ts'
import { readHead, writeHead } from './head.ts'

export interface Spool {
  /** The last link that was taken, by this run or an earlier one. */
  readonly from: Link
  /** @throws when there is no room and nothing may be dropped, or it cannot be written. */
  append(lines: Buffer, link: Link): void
  /** The oldest segment, which is on its way from now on: it takes no further records, and is not dropped. */
  next(): Segment | undefined
  /** It was not delivered, and is the oldest that waits. */
  kept(): void
  /** Forgets a segment that was delivered. */
  done(segment: Segment): void
  /** Records and bytes that wait. */
  waiting(): { readonly records: number; readonly bytes: number }
}

export interface Segment {
  readonly number: number
  /** Whole lines, oldest first. */
  lines(): string[]
}

export interface SpoolNeeds {
  readonly folder: string
  readonly maxBytes: number
  /** A segment that is as large takes no further records. */
  readonly segmentBytes: number
  /** Whether the oldest may go undelivered; else `append` fails. */
  readonly mayDrop: boolean
  onDropped(records: number): void
}

interface Stored {
  readonly number: number
  bytes: number
  records: number
}

export function createSpool({ folder, maxBytes, segmentBytes, mayDrop, onDropped }: SpoolNeeds): Spool {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const anchor = path.join(folder, 'spool')
  const stored = found()
  let open: Stored | undefined
  let lastNumber = 0
  const from = lastLink()
  let link = from

  function fileOf({ number }: { readonly number: number }): string {
    return path.join(folder, `${String(number).padStart(12, '0')}.jsonl`)
  }

  /** What an earlier run left. */
  function found(): Stored[] {
    return readdirSync(folder)
      .filter(name => /^\d{12}\.jsonl$/.test(name))
      .sort()
      .map(name => {
        const number = Number(name.slice(0, 12))
        const file = path.join(folder, name)
        const bytes = readFileSync(file)
        const whole = bytes.lastIndexOf(0x0a) + 1
        if (whole < bytes.length) truncateSync(file, whole)
        return { number, bytes: whole, records: linesOf(bytes.subarray(0, whole)).length }
      })
  }

  function lastLink(): Link {
    const head = readHead(anchor)
    const lines = stored.map(fileOf).findLast(file => statSync(file).size > 0)
    const last = lines === undefined ? undefined : linesOf(readFileSync(lines)).at(-1)
    const reading = last === undefined ? undefined : read(last)
    const told = reading?.ok ? reading.link : undefined
    return [told, head].reduce<Link>(
      (best, other) => (other && other.seq > best.seq ? { seq: other.seq, hash: other.hash } : best),
      GENESIS,
    )
  }

  const total = (): number => stored.reduce((sum, { bytes }) => sum + bytes, 0)

  function append(lines: Buffer, next: Link): void {
    makeRoom(lines.length)
    if (!open || open.bytes >= segmentBytes) open = begin()
    try {
      appendFileSync(fileOf(open), lines)
    } catch (error) {
      takeBack(open)
      throw error
    }
    open.bytes += lines.length
    open.records += countOf(lines)
    link = next
  }

  function begin(): Stored {
    const segment = { number: (stored.at(-1)?.number ?? lastNumber) + 1, bytes: 0, records: 0 }
    lastNumber = segment.number
    writeFileSync(fileOf(segment), '', { mode: 0o600 })
    stored.push(segment)
    return segment
  }
  /** What is on its way. */
  let sent: Stored | undefined

  /** A full disk may have taken half a line. */
  function takeBack(segment: Stored): void {
    try {
      truncateSync(fileOf(segment), segment.bytes)
    } catch {
      // It is not gone on with, and half a line is not sent.
      open = undefined
    }
  }

  function makeRoom(size: number): void {
    while (total() + size > maxBytes) {
      // One that is on its way is delivered or not: whether it was dropped nobody could say.
      const oldest = stored.find(segment => segment !== sent)
      if (!mayDrop) throw new Error('the upload buffer is full')
      // A batch larger than all of it is taken all the same.
      if (!oldest) return
      forget(oldest)
      onDropped(oldest.records)
    }
  }

  function forget(segment: Stored): void {
    const at = stored.indexOf(segment)
    if (at < 0) return
    if (segment === open) open = undefined
    // Where the chain goes on must be known when no segment tells it any more.
    if (link.seq > 0) writeHead(anchor, link)
    stored.splice(at, 1)
    unlinkSync(fileOf(segment))
  }

  return {
    from,
    append,
    next() {
      for (const empty of stored.filter(segment => segment.records === 0 && segment !== open)) forget(empty)
      const oldest = stored[0]
      if (!oldest || oldest.records === 0) return undefined
      if (oldest === open) open = undefined
      sent = oldest
      return { number: oldest.number, lines: () => linesOf(readFileSync(fileOf(oldest))) }
    },
    kept() {
      sent = undefined
    },
    done(segment) {
      sent = undefined
      const found = stored.find(({ number }) => number === segment.number)
      if (found) forget(found)
    },
    waiting: () => ({ records: stored.reduce((sum, { records }) => sum + records, 0), bytes: total() }),
  }
}

/** Whole lines. */
function linesOf(bytes: Buffer): string[] {
  return bytes.toString('utf8').split('\n').slice(0, -1).filter(Boolean)
}

const LINE_FEED = 0x0a

function countOf(lines: Buffer): number {
  let count = 0
  for (let at = lines.indexOf(LINE_FEED); at >= 0; at = lines.indexOf(LINE_FEED, at + 1)) count++
  return count
}
