/**
 * The audit file: whole lines or nothing, and beside it `FILE.head`, which anchors the tail.
 *
 * Written with synchronous calls on purpose: when `append` returns, the operating system has
 * the bytes, and a killed process loses nothing that had an effect. A file that was removed or moved away
 * under us is begun anew at its place; what was written to a removed one is written again.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { parseDuration } from '../contract/units.ts'
import type { Link } from './chain.ts'
import { readHead, writeHead } from './head.ts'
import { createRotation, type RotationRules } from './rotation.ts'

export interface FileSink {
  /** Writes whole lines or throws and leaves the file as it was. */
  append(bytes: Buffer, link: Link): void
  close(): Promise<void>
}

export interface FileSinkNeeds {
  readonly path: string
  /** `always`, `never`, or a duration. */
  readonly sync: string
  /** None unless given. */
  readonly rotation?: RotationRules | undefined
  /** Milliseconds since the epoch. */
  now(): number
  /** What went wrong beside the writing, and stops no record. */
  onTrouble(what: FileTrouble, error: unknown): void
  /** Retention removed parts. */
  onPruned?(paths: readonly string[], last: Link): void
}

export type FileTrouble = 'head_failed' | 'rotation_failed' | 'file_gone'

/** How far `FILE.head` may lag behind the file. */
const HEAD_INTERVAL_MS = 500
const ROTATE_AGAIN_MS = 10_000

interface OpenFile {
  readonly fd: number
  /** A device can neither be shortened nor rotated, nor have a head beside it. */
  readonly regular: boolean
  readonly ino: number
  /** When its first record was written. */
  begunAt: number
  /** Of whole lines. */
  size: number
  /** Half a line may stand behind them. */
  torn: boolean
}

export function createFileSink(needs: FileSinkNeeds): FileSink {
  const { path: file, sync, now, onTrouble } = needs
  const syncEveryMs = sync === 'always' || sync === 'never' ? undefined : parseDuration(sync)
  let current: OpenFile | undefined = open()
  const { regular } = current
  let base = regular ? readHead(file)?.base : undefined
  let head: Link | undefined
  let headTimer: NodeJS.Timeout | undefined
  let syncTimer: NodeJS.Timeout | undefined
  let rotateAfter = 0
  let closed = false
  const rotation =
    needs.rotation && regular
      ? createRotation({
          file,
          rules: needs.rotation,
          now,
          onPruned(paths, last) {
            base = last
            head ??= readHead(file)
            writeHeadNow()
            needs.onPruned?.(paths, last)
          },
          onFailure: error => onTrouble('rotation_failed', error),
        })
      : undefined
  rotation?.tidy()

  function open(): OpenFile {
    mkdirSync(path.dirname(file), { recursive: true })
    const fd = openSync(file, 'a', 0o600)
    const stats = fstatSync(fd)
    const regular = stats.isFile()
    const begunAt = regular && stats.size > 0 ? (firstTimestamp(file) ?? stats.mtimeMs) : now()
    return { fd, regular, ino: stats.ino, size: stats.size, begunAt, torn: false }
  }

  function append(bytes: Buffer, link: Link): void {
    if (closed) throw new Error('the audit file is closed')
    current ??= open()
    if (rotation?.isDue(current.size, bytes.length, current.begunAt)) current = rotated(rotation, current)
    write(current, bytes)
    if (current.regular && isElsewhere(current)) replace(current, bytes)
    head = link
    if (regular) headTimer ??= setTimeout(writeHeadNow, HEAD_INTERVAL_MS).unref()
    if (syncEveryMs !== undefined) syncTimer ??= setTimeout(syncToDisk, syncEveryMs).unref()
  }

  function write(to: OpenFile, bytes: Buffer): void {
    const { fd } = to
    if (to.torn) mend(to)
    if (to.size === 0) to.begunAt = now()
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      if (sync === 'always') fdatasyncSync(fd)
    } catch (error) {
      // A full disk may have taken half a line; the chain goes on from the last whole one.
      to.torn = to.regular
      if (to.torn) mend(to)
      throw error
    }
    to.size += bytes.length
  }

  function mend(torn: OpenFile): void {
    ftruncateSync(torn.fd, torn.size)
    torn.torn = false
  }

  /** @returns The file to go on with: the same one where it cannot be moved. */
  function rotated(by: NonNullable<typeof rotation>, full: OpenFile): OpenFile {
    if (now() < rotateAfter) return full
    try {
      if (sync !== 'never') fdatasyncSync(full.fd)
      by.shift()
    } catch (error) {
      rotateAfter = now() + ROTATE_AGAIN_MS
      onTrouble('rotation_failed', error)
      return full
    }
    current = undefined
    closeSync(full.fd)
    by.tidy()
    return open()
  }

  function isElsewhere({ ino }: OpenFile): boolean {
    try {
      return statSync(file, { throwIfNoEntry: false })?.ino !== ino
    } catch {
      // Not to be told, and what was written is written.
      return false
    }
  }

  /** What was moved holds what was just written; what was removed takes it along. */
  function replace(lost: OpenFile, bytes: Buffer): void {
    const isRemoved = fstatSync(lost.fd).nlink === 0
    current = undefined
    closeSync(lost.fd)
    onTrouble('file_gone', new Error(`${file} was ${isRemoved ? 'removed' : 'moved'}; it is begun anew`))
    if (!isRemoved) return
    current = open()
    write(current, bytes)
  }

  function writeHeadNow(): void {
    clearTimeout(headTimer)
    headTimer = undefined
    if (!head) return
    try {
      writeHead(file, { seq: head.seq, hash: head.hash, ...(base ? { base } : {}) })
    } catch (error) {
      onTrouble('head_failed', error)
    }
  }

  function syncToDisk(): void {
    syncTimer = undefined
    if (current) fdatasync(current.fd, () => {})
  }

  return {
    append,
    async close() {
      if (closed) return
      closed = true
      clearTimeout(syncTimer)
      if (regular) writeHeadNow()
      if (current) {
        if (regular && sync !== 'never') fdatasyncSync(current.fd)
        closeSync(current.fd)
      }
      await rotation?.close()
    },
  }
}

const TIMESTAMP = /"timestamp":"([^"]{20,30})"/
const HEAD_BYTES = 64 * 1024

/** Milliseconds since the epoch. */
function firstTimestamp(file: string): number | undefined {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(HEAD_BYTES)
    const text = bytes.toString('utf8', 0, readSync(fd, bytes))
    const at = Date.parse(TIMESTAMP.exec(text)?.[1] ?? '')
    return Number.isNaN(at) ? undefined : at
  } finally {
    closeSync(fd)
  }
}
