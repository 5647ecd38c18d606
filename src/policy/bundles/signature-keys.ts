/**
 * Keys of bundles: what a file holds that signs a bundle, or says whose signature is good.
 *
 * PEM, or, as OPA has it, a secret for the HMAC algorithms: the bytes of the file, its last line break
 * included.
 */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'

export type BundleKey = KeyObject

/** The file cannot be read, or holds no key. `code` is `bad_key`. */
export class KeyError extends Error {
  override readonly name = 'KeyError'
  readonly code = 'bad_key'
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g
/**
 * What would be taken for a secret and is known to everybody: a public key that is not in PEM. With it as
 * the secret of an HMAC, anybody could sign.
 */
const NOT_A_SECRET = /BEGIN |^ssh-|^ecdsa-|^\s*[{<]/

/** @returns all keys that a file holds: several PEM blocks are several keys. @throws KeyError */
export function verificationKeys(file: string): BundleKey[] {
  const bytes = read(file)
  const blocks = [...bytes.toString('latin1').matchAll(PEM)].map(match => match[0])
  if (blocks.length === 0) return [secret(file, bytes)]
  return blocks.map(block => {
    // A private key gives its public one away, and has no business here.
    if (/PRIVATE KEY-----$/.test(block)) throw new KeyError(`${file} holds a private key`)
    return parsed(file, () => createPublicKey(block))
  })
}

/** @throws KeyError when the key does not suit the algorithm, or is no private key. */
export function signingKey(file: string, algorithm: string): BundleKey {
  const bytes = read(file)
  const key = /^HS/.test(algorithm) ? secret(file, bytes) : parsed(file, () => createPrivateKey(bytes))
  if (!suits(key, algorithm)) throw new KeyError(`the key in ${file} is not one for ${algorithm}`)
  return key
}

const CURVES: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

function suits({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: string): boolean {
  if (algorithm.startsWith('HS')) return type === 'secret'
  if (algorithm.startsWith('ES')) return asymmetricKeyDetails?.namedCurve === CURVES[algorithm]
  return asymmetricKeyType === (algorithm === 'EdDSA' ? 'ed25519' : 'rsa')
}

function secret(file: string, bytes: Buffer): BundleKey {
  const text = bytes.toString('latin1')
  const isKey = NOT_A_SECRET.test(text) || isDer(bytes)
  if (isKey) throw new KeyError(`${file} holds a key or certificate that is not in PEM`)
  if (text.trim() === '') throw new KeyError(`${file} is empty`)
  return createSecretKey(bytes)
}

/** A key or certificate in binary begins with the tag of a sequence and its length in two bytes or more. */
function isDer(bytes: Buffer): boolean {
  return bytes[0] === 0x30 && bytes.length > 2 && !/^[\x20-\x7e\s]*$/.test(bytes.toString('latin1'))
}

function parsed(file: string, parse: () => KeyObject): KeyObject {
  try {
    return parse()
  } catch (cause) {
    throw new KeyError(`${file} holds no key that can be read`, { cause })
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed'
    throw new KeyError(`cannot read the key ${file}: ${reason}`, { cause })
  }
}
