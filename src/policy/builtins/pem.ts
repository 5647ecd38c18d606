/** PEM: blocks of base64 between BEGIN and END lines, as Go's `encoding/pem` reads them. */
import { BuiltinError } from './builtin.ts'

export interface PemBlock {
  type: string
  bytes: Buffer
}

const BLOCK =
  /-----BEGIN ([^\r\n]*?)-----[ \t]*\r?\n((?:[^\r\n:]+:[^\r\n]*\r?\n)*)([A-Za-z0-9+/=\s]*?)-----END \1-----[ \t]*(?:\r?\n|$)/

/** The first block of a text, and what follows it. */
export function firstPem(text: string): { block: PemBlock; rest: string } | undefined {
  const match = BLOCK.exec(text)
  if (!match) return undefined
  const block = { type: match[1] as string, bytes: Buffer.from(match[3] as string, 'base64') }
  return { block, rest: text.slice(match.index + match[0].length) }
}

export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  for (let next = firstPem(text); next; next = firstPem(next.rest)) blocks.push(next.block)
  return blocks
}

/** Standard base64, strictly; line breaks are passed over. @throws BuiltinError */
export function base64(text: string): Buffer {
  const plain = text.replace(/[\r\n]/g, '')
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain))
    throw new BuiltinError('illegal base64 data')
  return Buffer.from(plain, 'base64')
}

/** Base64url, with its padding or without. @throws BuiltinError */
export function base64url(text: string): Buffer {
  const plain = text.replace(/[\r\n]/g, '')
  const padded = text.endsWith('=') ? plain.length % 4 === 0 : text.length % 4 !== 1 && plain.length % 4 !== 1
  if (!padded || !/^[A-Za-z0-9_-]*={0,2}$/.test(plain)) throw new BuiltinError('illegal base64url data')
  return Buffer.from(plain, 'base64url')
}
