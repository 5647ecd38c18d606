/**
 * Rotation: `FILE` becomes `FILE.1`, `FILE.1` becomes `FILE.2`; parts are packed beside the work, and the
 * oldest go when there are too many or they are too old.
 *
 * A process may be killed between any two steps. Names are shifted from the oldest on, so no part is ever
 * written over; a gap is closed by the next rotation, and a part that was being packed is packed again.
 */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { GENESIS, type Link, read } from './chain.ts'
import { linesInBatches } from './lines.ts'
import { everyRotated, type Part, rotatedParts } from './parts.ts'

export interface RotationRules {
  /** Bytes; a batch that would go beyond opens a new file. */
  readonly maxBytes?: number | undefined
  /** Milliseconds from the first record of a file. */
  readonly intervalMs?: number | undefined
  readonly compress: boolean
  /** Rotated parts that are kept; all unless told. */
  readonly keep?: number | undefined
  /** Parts whose last record is older go. */
  readonly maxAgeMs?: number | undefined
}

export interface RotationNeeds {
  readonly file: string
  readonly rules: RotationRules
  /** Milliseconds since the epoch. */
  now(): number
  /** Parts were removed; `last` is the link that the first record still there follows. */
  onPruned(paths: readonly string[], last: Link): void
  onFailure(error: unknown): void
}

export interface Rotation {
  /** Whether a file of this size, begun then, takes these bytes too. */
  isDue(size: number, bytes: number, begunAt: number): boolean
  /** Moves the file out of the way. @throws when it cannot be renamed. */
  shift(): void
  /** Packs and removes what is due, beside the work. */
  tidy(): void
  /** Resolves when nothing is being packed. */
  close(): Promise<void>
}

export function createRotation({ file, rules, now, onPruned, onFailure }: RotationNeeds): Rotation {
  const unfinished = `${file}.gz.new`
  let packing: { number: number; stop: AbortController; done: Promise<void> } | undefined
  let pruning: Promise<void> | undefined
  let closed = false

  function isDue(size: number, bytes: number, begunAt: number): boolean {
    if (size === 0) return false
    if (rules.maxBytes !== undefined && size + bytes > rules.maxBytes) return true
    return rules.intervalMs !== undefined && now() - begunAt >= rules.intervalMs
  }

  function shift(): void {
    const parts = everyRotated(file)
    const taken = new Set(parts.map(part => part.number))
    let free = 1
    while (taken.has(free)) free++
    for (let number = free - 1; number >= 1; number--) {
      for (const part of parts.filter(part => part.number === number))
        renameSync(part.path, `${file}.${number + 1}${part.packed ? '.gz' : ''}`)
      if (packing?.number === number) packing.number = number + 1
    }
    renameSync(file, `${file}.1`)
  }

  function tidy(): void {
    if (closed) return
    pruning ??= prune()
      .catch(onFailure)
      .finally(() => {
        pruning = undefined
      })
    if (rules.compress) packNext()
  }

  /** The oldest first. */
  function packNext(): void {
    const next = packing || closed ? undefined : rotatedParts(file).find(part => !part.packed)
    if (!next) return
    const stop = new AbortController()
    const job = { number: next.number, stop, done: Promise.resolve() }
    packing = job
    job.done = pack(next.path, job)
      .then(
        () => true,
        error => {
          if (!stop.signal.aborted) onFailure(error)
          return false
        },
      )
      .then(packed => {
        packing = undefined
        if (packed) tidy()
      })
  }

  async function pack(from: string, job: { number: number; stop: AbortController }): Promise<void> {
    // Opened at once: its name may be another part's in the next turn. The stream closes it.
    const fd = openSync(from, 'r')
    const { atime, mtime, ino } = fstatSync(fd)
    const source = createReadStream(from, { fd, start: 0, highWaterMark: 1 << 18 })
    const target = createWriteStream(unfinished, { mode: 0o600, flush: true })
    await pipeline(source, createGzip({ level: 6 }), target, { signal: job.stop.signal })
    // It may have been shifted meanwhile; from here on nothing else runs.
    const plain = `${file}.${job.number}`
    if (statSync(plain).ino !== ino) throw new Error(`${plain} is not the part that was packed`)
    utimesSync(unfinished, atime, mtime)
    renameSync(unfinished, `${plain}.gz`)
    unlinkSync(plain)
  }

  async function prune(): Promise<void> {
    const parts = rotatedParts(file)
    const isOld = (part: Part, index: number): boolean =>
      parts.length - index > (rules.keep ?? Number.POSITIVE_INFINITY) ||
      now() - statSync(part.path).mtimeMs > (rules.maxAgeMs ?? Number.POSITIVE_INFINITY)
    // Only from the oldest on: a hole in the middle would look like tampering.
    const kept = parts.findIndex((part, index) => !isOld(part, index))
    const gone = kept < 0 ? parts : parts.slice(0, kept)
    const newest = gone.at(-1)
    if (!newest || (packing && packing.number >= newest.number)) return
    const { ino } = statSync(newest.path)
    const last = await lastLinkOf(newest.path)
    // A rotation meanwhile gave the parts other names; it looks at them again itself.
    if (closed || statSync(newest.path, { throwIfNoEntry: false })?.ino !== ino) return
    onPruned(
      gone.map(part => part.path),
      last,
    )
    const oldestFirst = everyRotated(file).sort((one, other) => other.number - one.number)
    for (const part of oldestFirst) if (part.number >= newest.number) unlinkSync(part.path)
  }

  if (existsSync(unfinished)) unlinkSync(unfinished)
  return {
    isDue,
    shift,
    tidy,
    async close() {
      closed = true
      packing?.stop.abort()
      await Promise.all([packing?.done, pruning])
    },
  }
}

async function lastLinkOf(part: string): Promise<Link> {
  let last = ''
  for await (const batch of linesInBatches(part))
    last = batch.findLast(line => line.text !== '')?.text ?? last
  const reading = read(last)
  return reading.ok ? reading.link : { ...GENESIS, seq: reading.seq ?? 0 }
}
