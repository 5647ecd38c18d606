/**
 * The parts of one log: `FILE`, and what was rotated away from it, `FILE.1`, `FILE.2`, … oldest highest,
 * each plain or with `.gz`.
 */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'

export interface Part {
  readonly path: string
  /** 1 is the latest that was rotated away. */
  readonly number: number
  readonly packed: boolean
}

/**
 * The rotated parts, oldest first. There may be gaps, where a rotation was cut short. Of a part that is there
 * both plain and packed, the plain one: packing it was cut short.
 */
export function rotatedParts(file: string): Part[] {
  const parts = new Map<number, Part>()
  for (const part of everyRotated(file)) {
    if (!part.packed || !parts.has(part.number)) parts.set(part.number, part)
  }
  return [...parts.values()].sort((a, b) => b.number - a.number)
}

/** As `rotatedParts`, with both forms of a part that has two. */
export function everyRotated(file: string): Part[] {
  const prefix = `${path.basename(file)}.`
  return namesIn(path.dirname(file)).flatMap(name => {
    const [, digits, packed] = (name.startsWith(prefix) && NUMBERED.exec(name.slice(prefix.length))) || []
    if (digits === undefined) return []
    return [
      { path: path.join(path.dirname(file), name), number: Number(digits), packed: packed !== undefined },
    ]
  })
}

const NUMBERED = /^([1-9]\d{0,8})(\.gz)?$/

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The files that belong to one log, in the order in which they were written: `FILE.2`, `FILE.1`, `FILE`. */
export function partsOf(file: string): string[] {
  const parts = rotatedParts(file).map(part => part.path)
  return existsSync(file) || parts.length === 0 ? [...parts, file] : parts
}
