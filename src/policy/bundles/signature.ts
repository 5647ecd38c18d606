/**
 * Signatures of bundles, as OPA defines them: `.signatures.json` holds one JWT that names every file of the
 * bundle with its hash.
 *
 * Which algorithms a key may have verified with is decided by the key, never by the JWT alone.
 */
import { createHash } from 'node:crypto'
import { ALGORITHMS } from '../builtins/jwt-algorithms.ts'
import { canonicalJson, readJson } from '../values/canonical-json.ts'
import { type BundleFiles, SIGNATURES } from './bundle.ts'
import type { BundleKey } from './signature-keys.ts'

/**
 * `unsigned_bundle`: there is no signature. `bad_signature`: none of the keys made it. `tampered_bundle`: a
 * file is not what was signed, is missing, or was added.
 */
export type SignatureErrorCode = 'unsigned_bundle' | 'bad_signature' | 'tampered_bundle'

export class SignatureError extends Error {
  override readonly name = 'SignatureError'
  constructor(
    readonly code: SignatureErrorCode,
    message: string,
  ) {
    super(message)
  }
}

interface SignedFile {
  readonly name: string
  /** Hexadecimal. */
  readonly hash: string
  readonly algorithm: string
}

interface Payload {
  readonly files: readonly SignedFile[]
  readonly scope?: string
}

/** OPA writes the first; the others are as good. Weaker ones that it knows are not offered. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
  ['SHA-512-256', 'sha512-256'],
])
/** Hashed as documents: white space and the order of keys do not count. */
const STRUCTURED = /(^|\/)(data\.json|data\.yaml|\.manifest)$/
/** The name under which `opa` looks for a key unless told otherwise. */
const KEY_ID = 'default'

export function isSigned(files: BundleFiles): boolean {
  return files.has(SIGNATURES)
}

/** @param keys - Any of them may have signed. @throws SignatureError */
export function verifySignature(files: BundleFiles, keys: readonly BundleKey[]): void {
  const payload = verifiedPayload(tokenIn(files), keys)
  const signed = new Map(payload.files.map(file => [file.name, file]))
  for (const [name, bytes] of files) {
    if (name === SIGNATURES) continue
    const file = signed.get(name)
    if (!file) throw new SignatureError('tampered_bundle', `${name} is not in the signature`)
    if (hashOf(name, bytes, file.algorithm) !== file.hash.toLowerCase())
      throw new SignatureError('tampered_bundle', `${name} is not what was signed`)
    signed.delete(name)
  }
  const [missing] = signed.keys()
  if (missing !== undefined)
    throw new SignatureError('tampered_bundle', `${missing} was signed and is not in the bundle`)
}

/**
 * @param algorithm - A JWT algorithm that suits the key.
 * @returns the files with their `.signatures.json`.
 */
export function signBundle(files: BundleFiles, key: BundleKey, algorithm: string): BundleFiles {
  const unsigned = [...files].filter(([name]) => name !== SIGNATURES)
  const listed: SignedFile[] = unsigned.map(([name, bytes]) => ({
    name,
    hash: hashOf(name, bytes, 'SHA-256'),
    algorithm: 'SHA-256',
  }))
  // The id is in both places: OPA reads it in the payload, and calls that deprecated.
  const content = `${part({ alg: algorithm, kid: KEY_ID })}.${part({ files: listed, keyid: KEY_ID })}`
  const signature = (ALGORITHMS.get(algorithm) as { sign: SignFunction }).sign(key, content)
  const document = { signatures: [`${content}.${signature.toString('base64url')}`] }
  return new Map([...unsigned, [SIGNATURES, Buffer.from(`${JSON.stringify(document, null, 1)}\n`)]])
}

type SignFunction = (key: BundleKey, content: string) => Buffer

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function tokenIn(files: BundleFiles): string {
  const bytes = files.get(SIGNATURES)
  if (!bytes) throw new SignatureError('unsigned_bundle', 'the bundle is not signed, and must be')
  const { signatures } = parsed(Buffer.from(bytes).toString()) as { signatures?: unknown }
  if (!Array.isArray(signatures) || signatures.length !== 1 || typeof signatures[0] !== 'string')
    throw new SignatureError('bad_signature', `${SIGNATURES} does not hold exactly one signature`)
  return signatures[0]
}

function verifiedPayload(token: string, keys: readonly BundleKey[]): Payload {
  const [header = '', body = '', signature = '', ...more] = token.split('.')
  const { alg } = parsed(Buffer.from(header, 'base64url').toString()) as { alg?: unknown }
  const algorithm = typeof alg === 'string' ? ALGORITHMS.get(alg) : undefined
  if (!algorithm || more.length > 0)
    throw new SignatureError('bad_signature', 'the signature has an algorithm that is not offered')
  const bytes = Buffer.from(signature, 'base64url')
  if (!keys.some(key => algorithm.verify(key, `${header}.${body}`, bytes)))
    throw new SignatureError('bad_signature', `none of ${keys.length} keys made the signature (${alg})`)
  return checked(parsed(Buffer.from(body, 'base64url').toString()))
}

function checked(payload: unknown): Payload {
  const { files, scope } = payload as Partial<Payload>
  const fits = (file: SignedFile): boolean =>
    [file?.name, file?.hash, file?.algorithm].every(field => typeof field === 'string')
  if (!Array.isArray(files) || !files.every(fits))
    throw new SignatureError('bad_signature', 'the signature does not say which files it is for')
  // As OPA without a scope of its own: what was signed for another use is not taken for ours.
  if (scope !== undefined && scope !== '')
    throw new SignatureError('bad_signature', `the signature is for the scope ${JSON.stringify(scope)}`)
  return { files }
}

function hashOf(name: string, bytes: Uint8Array, algorithm: string): string {
  const hash = HASHES.get(algorithm)
  if (!hash) throw new SignatureError('bad_signature', `${name} is signed with ${algorithm}`)
  const content = STRUCTURED.test(name) ? canonical(name, bytes) : bytes
  return createHash(hash).update(content).digest('hex')
}

function canonical(name: string, bytes: Uint8Array): string {
  try {
    return canonicalJson(readJson(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw new SignatureError('tampered_bundle', `${name} cannot be read: ${(cause as Error).message}`)
  }
}

function parsed(text: string): object {
  try {
    const value = JSON.parse(text) as unknown
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Told below, as any other text that is no object.
  }
  throw new SignatureError('bad_signature', 'the signature cannot be read')
}
