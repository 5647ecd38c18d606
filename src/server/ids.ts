/**
 * Ids of requests and decisions: ULIDs, which sort by time.
 */
import { randomFillSync } from 'node:crypto'
import type { EpochMs } from '../contract/units.ts'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const CODES = Buffer.from(ALPHABET, 'latin1')
const CHANCE_LENGTH = 16
const pool = Buffer.alloc(4096)
let used = pool.length

/** @returns 26 characters: 48 bits of time, 80 of chance. */
export function newId(at: EpochMs): string {
  if (used + CHANCE_LENGTH > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const start = used
  used += CHANCE_LENGTH
  for (let index = start; index < used; index++) pool[index] = CODES[(pool[index] as number) & 31] as number
  return timePart(at) + pool.toString('latin1', start, used)
}

let latest = { at: -1, text: '' }

function timePart(at: EpochMs): string {
  if (latest.at === at) return latest.text
  let rest = at
  let text = ''
  for (let index = 0; index < 10; index++) {
    text = ALPHABET[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  latest = { at, text }
  return text
}

const KEPT = /^[\x21-\x7e]{1,128}$/

/** A caller's own request id is kept if nothing can hide in it. */
export function requestIdOf(given: string | undefined, fallback: string): string {
  return given !== undefined && KEPT.test(given) ? given : fallback
}
