/** crypto.*: digests and message authentication. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { type Builtin, type Builtins, string } from './builtin.ts'

export const hashes: Builtins = {
  'crypto.md5': digest('md5'),
  'crypto.sha1': digest('sha1'),
  'crypto.sha256': digest('sha256'),
  'crypto.hmac.md5': hmac('md5'),
  'crypto.hmac.sha1': hmac('sha1'),
  'crypto.hmac.sha256': hmac('sha256'),
  'crypto.hmac.sha512': hmac('sha512'),
  'crypto.hmac.equal': operands => {
    const [a, b] = [Buffer.from(string(operands, 0)), Buffer.from(string(operands, 1))]
    return a.length === b.length && timingSafeEqual(a, b)
  },
}

function digest(algorithm: string): Builtin {
  return operands => createHash(algorithm).update(string(operands, 0)).digest('hex')
}

function hmac(algorithm: string): Builtin {
  return operands => createHmac(algorithm, string(operands, 1)).update(string(operands, 0)).digest('hex')
}
