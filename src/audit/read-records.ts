/**
 * Read records: the texts of the records in audit files, oldest first, one after the other.
 *
 * Lines, plain or gzipped, of one file or of its rotated parts; and the lists that OPA uploads as decision
 * logs. Memory is bounded by the longest line, and by one list.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { constants, createGunzip } from 'node:zlib'
import { elementsOf } from '../contract/json-members.ts'
import { bytesOf, isPacked } from './lines.ts'
import { type OpenPart, partsOf } from './parts.ts'

export interface RecordText {
  readonly text: string
  /** False for what stands behind the last line feed: it may be half a line. */
  readonly whole: boolean
}

/** Batches, since a promise for each line costs more than reading it. @throws when the file cannot be read. */
export async function* recordsIn(file: string | OpenPart): AsyncGenerator<RecordText[]> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of isPacked(file) ? unpacked(file) : chunksOf(file)) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const end = bytes.lastIndexOf(LINE_FEED) + 1
    // The next chunk is read into the same memory.
    rest = Buffer.from(bytes.subarray(end))
    const batch: RecordText[] = []
    for (const text of bytes.toString('utf8', 0, end).split('\n')) {
      if (text.startsWith('{')) batch.push({ text, whole: true })
      else batch.push(...textsIn(text))
    }
    if (batch.length > 0) yield batch
  }
  const last = rest.toString('utf8')
  if (last.trim() !== '') yield last.startsWith('[') ? textsIn(last) : [{ text: last, whole: false }]
}

/** OPA uploads its decision logs as a list, on one line. */
function textsIn(line: string): RecordText[] {
  if (line === '' || line.trim() === '') return []
  if (!line.startsWith('[')) return [{ text: line, whole: true }]
  return elementsOf(line)?.map(text => ({ text, whole: true })) ?? [{ text: line, whole: false }]
}

const LINE_FEED = 0x0a
const CHUNK_BYTES = 1 << 20

/** Each chunk is in the memory of the one before: a stream's buffers and promises cost as much as the reading. */
function* chunksOf(file: string | OpenPart): Generator<Buffer> {
  const memory = Buffer.allocUnsafe(CHUNK_BYTES)
  const descriptor = typeof file === 'string' ? openSync(file, 'r') : file.fd
  try {
    for (;;) {
      const read = readSync(descriptor, memory)
      if (read === 0) return
      yield memory.subarray(0, read)
    }
  } finally {
    if (typeof file === 'string') closeSync(descriptor)
  }
}

/** A log that is still written to ends in the middle of its gzip: what is there is read. */
function unpacked(file: string | OpenPart): AsyncIterable<Buffer> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES, finishFlush: constants.Z_SYNC_FLUSH })
  pipeline(bytesOf(file), unzip, () => {})
  return unzip
}

/**
 * The latest records of a log that fit, oldest first. Read from the end on, and no further than is needed.
 *
 * @param file - With its rotated parts; one that is packed is read whole, since it cannot be read from its end.
 * @param most - How many are wanted.
 */
export async function lastRecords(
  file: string,
  most: number,
  fits: (text: string) => boolean,
): Promise<string[]> {
  const found: string[] = []
  for (const part of partsOf(file).reverse()) {
    if (found.length >= most || !existsSync(part)) break
    if (isPacked(part)) {
      found.push(...(await lastIn(part, most - found.length, fits)))
      continue
    }
    for await (const text of linesFromTheEnd(part)) {
      if (fits(text)) found.push(text)
      if (found.length >= most) break
    }
  }
  return found.reverse()
}

/** The last that fit of a part, the last first. */
async function lastIn(part: string, most: number, fits: (text: string) => boolean): Promise<string[]> {
  let found: string[] = []
  for await (const batch of recordsIn(part)) {
    found.push(...batch.filter(({ text, whole }) => whole && fits(text)).map(({ text }) => text))
    found = found.slice(-most)
  }
  return found.reverse()
}

/** Whole lines, the last first. */
async function* linesFromTheEnd(file: string): AsyncGenerator<string> {
  const handle = await open(file)
  try {
    let end = (await handle.stat()).size
    /** What stands before the first line feed that was seen: the end of a line that begins further up. */
    let rest: Buffer = Buffer.alloc(0)
    let sawLineFeed = false
    while (end > 0) {
      const start = Math.max(0, end - CHUNK_BYTES)
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(end - start), 0, end - start, start)
      const bytes = Buffer.concat([buffer.subarray(0, bytesRead), rest])
      end = start
      const lines = linesIn(bytes)
      rest = start > 0 ? (lines.shift() as Buffer) : Buffer.alloc(0)
      // Behind the last line feed stands half a line, or nothing.
      if (!sawLineFeed && lines.length > 0) {
        lines.pop()
        sawLineFeed = true
      }
      for (const line of lines.reverse()) if (line.length > 0) yield line.toString('utf8')
    }
  } finally {
    await handle.close()
  }
}

function linesIn(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, start)) {
    lines.push(bytes.subarray(start, at))
    start = at + 1
  }
  lines.push(bytes.subarray(start))
  return lines
}
