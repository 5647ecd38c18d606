/**
 * Recovery: what the last run left in the log, and where the chain goes on.
 *
 * A torn last line is cut off; requests that were let through and never ended are named, so that
 * the new run can close them with the outcome `interrupted`.
 */
import { existsSync, statSync, truncateSync } from 'node:fs'
import { GENESIS, type Link, read } from './chain.ts'
import { linesOf } from './lines.ts'
import { readHead } from './verify.ts'

export interface Recovery {
  /** The link that the next record follows. */
  readonly from: Link
  /** Bytes of a torn last line that were cut off. */
  readonly tornBytes: number
  /** Decisions that were let through and have no outcome. */
  readonly open: readonly string[]
  /** Records that `FILE.head` knows and the file does not hold; the gap stays visible in the chain. */
  readonly missing: number
  /** The last run said goodbye, or there was none. */
  readonly clean: boolean
}

const DECISION = /^\{"event":"decision","decision_id":"([^"]+)"(,"outcome":"refused")?/
const OUTCOME = /^\{"event":"outcome","decision_id":"([^"]+)"/

/** @throws when the file is there and cannot be read or mended. */
export async function recover(file: string): Promise<Recovery> {
  let last = ''
  let lines = 0
  let tornBytes = 0
  let clean = true
  const open = new Set<string>()

  // A device such as /dev/stdout holds no past.
  if (existsSync(file) && statSync(file).isFile()) {
    for await (const { text, start, whole } of linesOf(file)) {
      if (!whole) {
        truncateSync(file, start)
        tornBytes = text.length
        clean = false
        break
      }
      if (text === '') continue
      last = text
      lines++
      clean = text.startsWith('{"event":"gateway.stopped"')
      const decided = DECISION.exec(text)
      if (decided && !decided[2]) open.add(decided[1] as string)
      const ended = OUTCOME.exec(text)
      if (ended) open.delete(ended[1] as string)
    }
  }
  const from = last === '' ? GENESIS : linkOf(last, lines)
  const head = readHead(file)
  const missing = head ? Math.max(0, head.seq - from.seq) : 0
  // Going on from the head keeps what is missing visible: otherwise a restart would hide it.
  return {
    from: head && missing > 0 ? head : from,
    tornBytes,
    open: [...open],
    missing,
    clean: clean && missing === 0,
  }
}

/** Of a last line that was tampered with, what it claims; `verify` tells of it all the same. */
function linkOf(line: string, number: number): Link {
  const reading = read(line)
  return reading.ok ? reading.link : { seq: reading.seq ?? number, hash: GENESIS.hash }
}
