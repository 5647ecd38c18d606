/**
 * Checkpoints: lines that sign the chain so far, so that who can rewrite a whole log, hashes and all, is
 * found by whoever has the public key.
 *
 * One signs the sequence number and the hash of the line before it, its own time, and how many records
 * may follow until the next.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { EpochMs } from '../contract/units.ts'
import type { Link } from './chain.ts'

export interface Signer {
  /** The text of a record that signs what stands before it. */
  checkpoint(before: Link, at: EpochMs): string
}

/**
 * @param pem - An Ed25519 private key.
 * @param every - How many records may stand between two checkpoints.
 * @throws Error when it is none.
 */
export function createSigner(pem: string, every: number): Signer {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key')
  const keyId = keyIdOf(createPublicKey(key))
  return {
    checkpoint(before, at) {
      const timestamp = new Date(at).toISOString()
      const signature = sign(null, signedText(before, timestamp, every), key).toString('base64')
      const facts = { seq: before.seq, hash: before.hash, every, key_id: keyId, signature }
      return `{"event":"checkpoint","timestamp":"${timestamp}","checkpoint":${JSON.stringify(facts)}}`
    },
  }
}

export interface KeyPair {
  readonly privatePem: string
  readonly publicPem: string
  readonly keyId: string
}

export function newKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: keyIdOf(publicKey),
  }
}

/** @param pem - A public key, or a private one whose public half is taken. @throws Error when it is none. */
export function readPublicKey(pem: string): KeyObject {
  const key = createPublicKey(pem)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key')
  return key
}

export const CHECKPOINT_START = '{"event":"checkpoint",'

/** What a checkpoint says once its signature was found to be good; undefined when it is not. */
export function checkedCheckpoint(
  line: string,
  before: Link,
  keys: readonly KeyObject[],
): { readonly every: number } | undefined {
  try {
    const { timestamp, checkpoint } = JSON.parse(line) as {
      timestamp: string
      checkpoint: { seq: number; hash: string; every: number; signature: string }
    }
    const { seq, hash, every, signature } = checkpoint
    if (seq !== before.seq || hash !== before.hash) return undefined
    const text = signedText(before, timestamp, every)
    const bytes = Buffer.from(signature, 'base64')
    return keys.some(key => verify(null, text, key, bytes)) ? { every } : undefined
  } catch {
    return undefined
  }
}

function signedText({ seq, hash }: Link, timestamp: string, every: number): Buffer {
  return Buffer.from(`sallyport checkpoint 1\n${seq}\n${hash}\n${timestamp}\n${every}\n`)
}

function keyIdOf(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('hex').slice(0, 16)
}
