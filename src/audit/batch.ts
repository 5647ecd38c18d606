/**
 * Batch: records that are written together, each sealed as a line of the chain.
 *
 * Their bytes are made once, where they are hashed and written from: as text each would be copied for every
 * member that is added, and encoded again for the hash and for the file.
 */
import { hash } from 'node:crypto'
import type { Link } from './chain.ts'

export interface Batch {
  /** Begins anew. */
  clear(): void
  /**
   * Adds a record's line.
   * @param record - The text of a JSON object with at least one member.
   * @returns The link that the next one follows.
   */
  add(record: string, previous: Link): Link
  /** The lines so far, each with its line feed; theirs until the batch is cleared. */
  bytes(): Buffer
}

const FIRST_BYTES = 64 * 1024
/** One that had to grow beyond this is not kept. */
const MOST_KEPT_BYTES = 1024 * 1024
const MOST_BYTES_PER_CHARACTER = 3
/** `chain`, with the longest number and two hashes. */
const MEMBER_BYTES = 256

export function createBatch(): Batch {
  let memory = Buffer.allocUnsafeSlow(FIRST_BYTES)
  let end = 0

  function makeRoom(bytes: number): void {
    if (end + bytes <= memory.length) return
    const larger = Buffer.allocUnsafeSlow(2 * (end + bytes))
    memory.copy(larger, 0, 0, end)
    memory = larger
  }

  function put(ascii: string): void {
    end += memory.write(ascii, end, 'latin1')
  }

  return {
    clear() {
      end = 0
      if (memory.length > MOST_KEPT_BYTES) memory = Buffer.allocUnsafeSlow(FIRST_BYTES)
    },
    add(record, previous) {
      makeRoom(record.length * MOST_BYTES_PER_CHARACTER + MEMBER_BYTES)
      const seq = previous.seq + 1
      const start = end
      // Without its last brace: the member goes in before it.
      end += memory.write(record, end, 'utf8') - 1
      put(`,"chain":{"seq":${seq},"prev":"${previous.hash}"}}`)
      const digest = hash('sha256', memory.subarray(start, end), 'hex')
      end -= 2
      put(`,"hash":"${digest}"}}\n`)
      return { seq, hash: digest }
    },
    bytes: () => memory.subarray(0, end),
  }
}
