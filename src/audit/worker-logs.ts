/**
 * The logs of workers: each of several that serve together has a log of its own, beside that of their
 * primary. `audit.jsonl` has `audit.worker-1.jsonl`, `audit.worker-2.jsonl`, …
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'

/** @param worker - From 1. */
export function workerLog(file: string, worker: number): string {
  const { dir, name, ext } = path.parse(file)
  return path.join(dir, `${name}.worker-${worker}${ext}`)
}

/** Those that are there, in the order of their numbers, also of workers that are no more. */
export function workerLogs(file: string): string[] {
  return workersWithLogs(file).map(worker => workerLog(file, worker))
}

/** Whose log, or parts of it, are there. */
export function workersWithLogs(file: string): number[] {
  const { dir, name, ext } = path.parse(file)
  const found = new Set<number>()
  for (const entry of namesIn(dir || '.')) {
    if (!entry.startsWith(`${name}.worker-`)) continue
    const rest = entry.slice(`${name}.worker-`.length)
    const [digits] = NUMBER.exec(rest) ?? []
    if (
      digits !== undefined &&
      PART.test(rest.slice(digits.length + ext.length)) &&
      rest.startsWith(digits + ext)
    )
      found.add(Number(digits))
  }
  return [...found].sort((one, other) => one - other)
}

const NUMBER = /^[1-9]\d{0,3}/
/** The log itself, or a part that was rotated away from it. */
const PART = /^(\.[1-9]\d{0,8}(\.gz)?)?$/
const TIMESTAMP = /"timestamp":"([^"]{20,30})"/

/** Records of several logs, each in its own order, in the order of their times. */
export function mergedByTime(logs: readonly (readonly string[])[]): string[] {
  const timed = logs.flatMap(lines => {
    let at = ''
    return lines.map(line => {
      // A clock that was put back must not turn two records of one log around.
      const own = TIMESTAMP.exec(line)?.[1] ?? at
      at = own > at ? own : at
      return { at, line }
    })
  })
  return timed
    .sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0))
    .map(({ line }) => line)
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
