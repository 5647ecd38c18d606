/**
 * The parts of one log: `FILE`, and what was rotated away from it, `FILE.1`, `FILE.2`, … oldest highest,
 * each plain or with `.gz`.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, statSync } from 'node:fs'
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

/** A part that is open: it stays what it is while its log is rotated. */
export interface OpenPart {
  readonly path: string
  readonly fd: number
}

const ATTEMPTS = 10

/**
 * Opens all parts of logs that may be rotated meanwhile. They are closed by whoever reads them to their end.
 *
 * @param list - Their paths, asked again when they changed while they were opened.
 * @throws when one cannot be opened.
 */
export function openParts(list: () => readonly string[]): OpenPart[] {
  for (let attempt = 1; ; attempt++) {
    const parts: OpenPart[] = []
    try {
      for (const path of list()) parts.push({ path, fd: openSync(path, 'r') })
      if (attempt === ATTEMPTS || parts.every(isInPlace)) return parts
    } catch (error) {
      if (attempt === ATTEMPTS || !list().every(path => existsSync(path))) {
        closeParts(parts)
        throw error
      }
    }
    closeParts(parts)
  }
}

export function closeParts(parts: readonly OpenPart[]): void {
  for (const { fd } of parts) closeSync(fd)
}

function isInPlace({ path, fd }: OpenPart): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino
}
