/**
 * The chain: each line of the audit log names the hash of the line before it.
 *
 * A line is a JSON object whose last member is `chain`. Its hash is the SHA-256 of the line's
 * own bytes without the `"hash"` member, so it can be checked without parsing or re-serialising:
 *
 *     {"event":"…",…,"chain":{"seq":7,"prev":"<64 hex>","hash":"<64 hex>"}}
 *                                                      └──── cut ────────┘
 */
import { hash } from 'node:crypto'

export interface Link {
  /** From 1, over all files of one log. */
  readonly seq: number
  /** SHA-256, 64 hex digits. */
  readonly hash: string
}

/** What the first line of a log follows. */
export const GENESIS: Link = { seq: 0, hash: '0'.repeat(64) }

const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}\}$/
const HASH_MEMBER_LENGTH = ',"hash":""}}'.length + 64
const CHAIN = /,"chain":\{"seq":(\d{1,15}),"prev":"([0-9a-f]{64})"$/

export type Reading =
  | { readonly ok: true; readonly link: Link; readonly prev: string }
  | { readonly ok: false; readonly seq: number | undefined }

/**
 * @param line - One character a byte (latin1), without its line feed.
 * @returns The line's own link and what it claims to follow, or `ok: false` when its bytes are not
 *   those that were hashed; `seq` is then what it claims, if it can be told.
 */
export function read(line: string): Reading {
  const hash = HASH_MEMBER.exec(line)?.[1]
  const open = line.slice(0, -HASH_MEMBER_LENGTH)
  const chain = hash === undefined ? null : CHAIN.exec(open)
  if (hash === undefined || chain === null) return { ok: false, seq: undefined }
  const seq = Number(chain[1])
  if (sha256(`${open}}}`) !== hash) return { ok: false, seq }
  return { ok: true, link: { seq, hash }, prev: chain[2] as string }
}

function sha256(bytes: string): string {
  return hash('sha256', Buffer.from(bytes, 'latin1'), 'hex')
}
