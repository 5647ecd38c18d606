/**
 * The form of an API key: `slp_<id>_<secret><checksum>`.
 *
 * The prefix lets secret scanners find it, the id says which key it is without saying the secret,
 * and the checksum tells a mistyped key from a revoked one without asking anybody.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

const ID_LENGTH = 10
/** 32 characters of 62: 190 bits. */
const SECRET_LENGTH = 32
const CHECKSUM_LENGTH = 6

const API_KEY = /^slp_([0-9A-Za-z]{10})_([0-9A-Za-z]{38})$/
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export interface NewApiKey {
  /** `k_…`, which may be shown to anybody. */
  readonly id: string
  /** The whole key; whoever has it is the principal. */
  readonly secret: string
  /** What is kept of it. */
  readonly digest: string
}

export function newApiKey(): NewApiKey {
  const id = randomText(ID_LENGTH)
  const body = `slp_${id}_${randomText(SECRET_LENGTH)}`
  const secret = body + checksum(body)
  return { id: `k_${id}`, secret, digest: digestOf(secret).toString('hex') }
}

/** @returns The id of a well-formed key, or undefined for anything else, a mistyped key included. */
export function keyIdOf(secret: string): string | undefined {
  const match = API_KEY.exec(secret)
  if (!match) return undefined
  const body = secret.slice(0, -CHECKSUM_LENGTH)
  return secret.endsWith(checksum(body)) ? `k_${match[1]}` : undefined
}

export function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

/** Takes the same time whatever the secret is. @param digest - SHA-256, 32 bytes. */
export function matches(secret: string, digest: Buffer): boolean {
  return timingSafeEqual(digestOf(secret), digest)
}

function checksum(text: string): string {
  let rest = crc32(text)
  let encoded = ''
  for (let digit = 0; digit < CHECKSUM_LENGTH; digit++) {
    encoded = ALPHABET[rest % 62] + encoded
    rest = Math.floor(rest / 62)
  }
  return encoded
}

/** Uniform: bytes that would favour the first letters are drawn again. */
function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length * 2)) {
      if (byte < 248 && text.length < length) text += ALPHABET[byte % 62]
    }
  }
  return text
}
