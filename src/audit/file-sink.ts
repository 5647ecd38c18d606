/**
 * The audit file: whole lines or nothing, and beside it `FILE.head`, which anchors the tail.
 *
 * Written with synchronous calls on purpose: when `append` returns, the operating system has
 * the bytes, and a killed process loses nothing that had an effect.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { parseDuration } from '../contract/units.ts'
import type { Link } from './chain.ts'

export interface FileSink {
  /** Writes whole lines or throws and leaves the file as it was. */
  append(lines: string, link: Link): void
  close(): void
}

export interface FileSinkNeeds {
  readonly path: string
  /** `always`, `never`, or a duration. */
  readonly sync: string
  onHeadFailure(error: unknown): void
}

/** How far `FILE.head` may lag behind the file. */
const HEAD_INTERVAL_MS = 500

export function createFileSink({ path: file, sync, onHeadFailure }: FileSinkNeeds): FileSink {
  mkdirSync(path.dirname(file), { recursive: true })
  const fd = openSync(file, 'a', 0o600)
  // A device can neither be shortened nor have a head beside it.
  const regular = fstatSync(fd).isFile()
  const syncEveryMs = sync === 'always' || sync === 'never' ? undefined : parseDuration(sync)
  let head: Link | undefined
  let headTimer: NodeJS.Timeout | undefined
  let syncTimer: NodeJS.Timeout | undefined

  function append(lines: string, link: Link): void {
    const bytes = Buffer.from(lines, 'utf8')
    const size = fstatSync(fd).size
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      if (sync === 'always') fdatasyncSync(fd)
    } catch (error) {
      // A full disk may have taken half a line; the chain goes on from the last whole one.
      if (regular) ftruncateSync(fd, size)
      throw error
    }
    head = link
    if (regular) headTimer ??= setTimeout(writeHead, HEAD_INTERVAL_MS).unref()
    if (syncEveryMs !== undefined) syncTimer ??= setTimeout(syncToDisk, syncEveryMs).unref()
  }

  function writeHead(): void {
    headTimer = undefined
    if (!head) return
    try {
      writeFileSync(`${file}.head.new`, `${JSON.stringify(head)}\n`, { mode: 0o600 })
      renameSync(`${file}.head.new`, `${file}.head`)
    } catch (error) {
      onHeadFailure(error)
    }
  }

  function syncToDisk(): void {
    syncTimer = undefined
    fdatasync(fd, () => {})
  }

  return {
    append,
    close() {
      clearTimeout(headTimer)
      clearTimeout(syncTimer)
      if (regular) writeHead()
      if (regular && sync !== 'never') fdatasyncSync(fd)
      closeSync(fd)
    },
  }
}
