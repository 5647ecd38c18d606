/**
 * The head: `FILE.head`, which anchors both ends of a log. It names the last record and, where old parts were
 * removed by retention, the record that the first one follows.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Link } from './chain.ts'

export interface Head extends Link {
  /** The last record of the parts that were removed. */
  readonly base?: Link
}

/** @returns Undefined where there is none, or half of one, which vouches for nothing. */
export function readHead(file: string): Head | undefined {
  if (!existsSync(`${file}.head`)) return undefined
  try {
    const head = JSON.parse(readFileSync(`${file}.head`, 'utf8')) as { readonly base?: unknown }
    if (!isLink(head)) return undefined
    const { seq, hash, base } = head
    return { seq, hash, ...(isLink(base) ? { base: { seq: base.seq, hash: base.hash } } : {}) }
  } catch {
    return undefined
  }
}

/** @throws when it cannot be written; the one before is then still there. */
export function writeHead(file: string, head: Head): void {
  writeFileSync(`${file}.head.new`, `${JSON.stringify(head)}\n`, { mode: 0o600 })
  renameSync(`${file}.head.new`, `${file}.head`)
}

function isLink(value: unknown): value is Link & { readonly base?: unknown } {
  const { seq, hash } = (value ?? {}) as Partial<Link>
  return typeof seq === 'number' && typeof hash === 'string'
}
