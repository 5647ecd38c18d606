/** JWT algorithms: how each signs and verifies (RFC 7518). */
import {
  constants,
  createHmac,
  type KeyObject,
  sign as signWith,
  timingSafeEqual,
  verify as verifyWith,
} from 'node:crypto'
import { BuiltinError } from './builtin.ts'

export interface Algorithm {
  /** False also when the key is of another kind than the algorithm's. */
  verify(key: KeyObject, content: string, signature: Buffer): boolean
  /** @throws BuiltinError when the key is of another kind */
  sign(key: KeyObject, content: string): Buffer
}

export const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ...(['256', '384', '512'] as const).flatMap((bits): [string, Algorithm][] => [
    [`HS${bits}`, hmac(`sha${bits}`)],
    [`RS${bits}`, asymmetric('rsa', `sha${bits}`, { padding: constants.RSA_PKCS1_PADDING })],
    [`PS${bits}`, asymmetric('rsa', `sha${bits}`, pss(Number(bits) / 8))],
    [`ES${bits}`, asymmetric('ec', `sha${bits}`, { dsaEncoding: 'ieee-p1363' })],
  ]),
  ['EdDSA', asymmetric('ed25519', undefined, {})],
])

type Options = { padding?: number; saltLength?: number; dsaEncoding?: 'ieee-p1363' }

/** A signature's salt may have any length; ours has the digest's. */
function pss(saltLength: number): Options {
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
}

function asymmetric(type: string, hash: string | undefined, options: Options): Algorithm {
  const verifying = options.saltLength ? { ...options, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : options
  return {
    verify(key, content, signature) {
      if (key.type !== 'public' || key.asymmetricKeyType !== type) return false
      try {
        return verifyWith(hash, Buffer.from(content), { key, ...verifying }, signature)
      } catch {
        // Such as a signature of a length that no key gives.
        return false
      }
    },
    sign(key, content) {
      if (key.type !== 'private' || key.asymmetricKeyType !== type)
        throw new BuiltinError('invalid key type for the algorithm')
      return signWith(hash, Buffer.from(content), { key, ...options })
    },
  }
}

function hmac(hash: string): Algorithm {
  const mac = (key: KeyObject, content: string) => {
    if (key.type !== 'secret') throw new BuiltinError('invalid key type for the algorithm')
    return createHmac(hash, key).update(content).digest()
  }
  return {
    verify(key, content, signature) {
      if (key.type !== 'secret') return false
      const expected = mac(key, content)
      return expected.length === signature.length && timingSafeEqual(expected, signature)
    },
    sign: mac,
  }
}
