/**
 * The lines of a file as they are on disk, plain or gzipped: split at line feeds alone, one character a
 * byte (latin1), so that nothing is lost to decoding and hashes can be checked.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { OpenPart } from './parts.ts'

export interface Line {
  /** Of a line longer than 64 MiB only the beginning. */
  readonly text: string
  /** Where the line begins, in bytes; of a gzipped file, of what is packed in it. */
  readonly start: number
  /** False when the file ends before the line does, or what follows cannot be unpacked. */
  readonly whole: boolean
}

const CHUNK_BYTES = 1 << 18
/** What keeps memory bounded when a file holds no line feeds. */
const LONGEST_LINE = 64 * 1024 * 1024
const KEPT_OF_LONG_LINE = 4096
const GZIP = Buffer.from([0x1f, 0x8b])

/** @throws when the file cannot be read. Memory is bounded by the longest line. */
export async function* linesOf(file: string | OpenPart): AsyncGenerator<Line> {
  for await (const batch of linesInBatches(file)) yield* batch
}

/** As `linesOf`, many at once: a promise for each line costs more than reading it. */
export async function* linesInBatches(file: string | OpenPart): AsyncGenerator<readonly Line[]> {
  let rest = ''
  let start = 0
  let skipped = 0
  const stream = isPacked(file) ? unpacked(file) : bytesOf(file)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const parts = (rest + chunk.toString('latin1')).split('\n')
      rest = parts.pop() as string
      const batch: Line[] = []
      for (const text of parts) {
        batch.push({ text, start, whole: true })
        start += text.length + skipped + 1
        skipped = 0
      }
      if (rest.length > LONGEST_LINE) {
        skipped += rest.length - KEPT_OF_LONG_LINE
        rest = rest.slice(0, KEPT_OF_LONG_LINE)
      }
      if (batch.length > 0) yield batch
    }
  } catch (error) {
    if (!isSpoiled(error)) throw error
    yield [{ text: rest, start, whole: false }]
    return
  }
  if (rest !== '') yield [{ text: rest, start, whole: false }]
}

/** Told by its first bytes, not by its name. */
export function isPacked(file: string | OpenPart): boolean {
  const start = Buffer.alloc(GZIP.length)
  const descriptor = typeof file === 'string' ? openSync(file, 'r') : file.fd
  try {
    readSync(descriptor, start, 0, GZIP.length, 0)
  } finally {
    if (typeof file === 'string') closeSync(descriptor)
  }
  return start.equals(GZIP)
}

/** From its beginning; whoever opened it closes it. */
export function bytesOf(file: string | OpenPart): Readable {
  return typeof file === 'string'
    ? createReadStream(file, { highWaterMark: CHUNK_BYTES })
    : createReadStream(file.path, { fd: file.fd, autoClose: false, start: 0, highWaterMark: CHUNK_BYTES })
}

function unpacked(file: string | OpenPart): AsyncIterable<Buffer> {
  const unzip = createGunzip({ chunkSize: CHUNK_BYTES })
  pipeline(bytesOf(file), unzip, () => {})
  return unzip
}

/** Not what a gzip holds, or not all of it. */
function isSpoiled(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('Z_')
}
