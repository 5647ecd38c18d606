/** io.jwt.*: JSON Web Tokens, decoded, verified, and signed. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { compareNumbers, RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { type Builtin, BuiltinError, type Builtins, object, string } from './builtin.ts'
import { formatFloat } from './go-float.ts'
import { marshal, unmarshal } from './go-json.ts'
import { ALGORITHMS, type Algorithm } from './jwt-algorithms.ts'
import { signingKey, type VerificationKey, verificationKeys } from './jwt-keys.ts'
import { decodeHeader, decodeObject, type Header, parseHeader, splitToken, type Token } from './jwt-token.ts'
import { base64url } from './pem.ts'

export const jwt: Builtins = {
  'io.jwt.decode': operands => decode(string(operands, 0)),
  'io.jwt.decode_verify': (operands, { nowNs }) => {
    const constraints = constraintsOf(object(operands, 1), nowNs)
    return decodeVerify(string(operands, 0), constraints)
  },
  'io.jwt.encode_sign': operands => {
    const [headers, payload, key] = operands.map(operand => marshal(operand)) as [string, string, string]
    return encodeSign(headers, payload, key)
  },
  'io.jwt.encode_sign_raw': operands =>
    encodeSign(string(operands, 0), string(operands, 1), string(operands, 2)),
  ...Object.fromEntries(
    [...ALGORITHMS].map(([name, algorithm]) => [
      `io.jwt.verify_${name.toLowerCase()}`,
      verifier(name, algorithm),
    ]),
  ),
}

function verifier(name: string, algorithm: Algorithm): Builtin {
  if (!name.startsWith('HS'))
    return operands => verifyWithKeys(string(operands, 0), string(operands, 1), algorithm)
  return operands => {
    const token = splitToken(string(operands, 0))
    return algorithm.verify(secretKey(string(operands, 1)), token.signed, base64url(token.signature))
  }
}

function verifyWithKeys(text: string, keyText: string, algorithm: Algorithm): boolean {
  const token = splitToken(text)
  const keys = verificationKeys(keyText)
  const signature = base64url(token.signature)
  const header = parseHeader(decodeHeader(token))
  return anyVerifies(keys, header, key => algorithm.verify(key, token.signed, signature))
}

/** Only the key that the header names; without one, any of the header's algorithm or of none. */
function anyVerifies(
  keys: readonly VerificationKey[],
  { kid, alg }: Header,
  verifies: (key: KeyObject) => boolean,
): boolean {
  const named = kid === '' ? undefined : keys.find(({ id }) => id === kid)
  if (named) return verifies(named.key)
  return keys.some(({ key, algorithm }) => (algorithm === '' || algorithm === alg) && verifies(key))
}

/** An empty secret is allowed, as in Go; Node's createSecretKey takes it too. */
function secretKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret))
}

function decode(text: string): Value {
  const token = splitToken(text)
  const header = decodeHeader(token)
  const payload = base64url(token.payload).toString()
  const contentType = header.get('cty')
  if (contentType !== undefined && typeof contentType !== 'string')
    throw new BuiltinError('cty: must be a string')
  // A token within a token comes in quotes.
  if (contentType === 'JWT') return decode(payload.replace(/^["']+|["']+$/g, ''))
  const claims = unmarshal(payload)
  if (!(claims instanceof RegoObject)) throw new BuiltinError('decoded JSON type was not an Object')
  return [header, claims, base64url(token.signature).toString('hex')]
}

interface Constraints {
  keys: VerificationKey[] | undefined
  secret: string
  alg: string
  iss: string
  aud: string
  /** Nanoseconds since the epoch, in float64 as in OPA. */
  time: number
}

function constraintsOf(given: RegoObject, nowNs: bigint): Constraints {
  const constraints: Constraints = {
    keys: undefined,
    secret: '',
    alg: '',
    iss: '',
    aud: '',
    time: Number(nowNs),
  }
  for (const [name, value] of given) {
    if (name === 'time') constraints.time = timeOf(value)
    else if (name === 'cert') constraints.keys = verificationKeys(string([value], 0))
    else if (name === 'secret' || name === 'alg' || name === 'iss' || name === 'aud')
      constraints[name] = string([value], 0)
    else throw new BuiltinError(`unknown token validation constraint: ${String(name)}`)
  }
  if (constraints.keys && constraints.secret !== '') throw new BuiltinError('duplicate key constraints')
  if (!constraints.keys && constraints.secret === '') throw new BuiltinError('no key constraint')
  return constraints
}

function timeOf(value: Value): number {
  if (!(value instanceof RegoNumber)) throw new BuiltinError('token time constraint: must be a number')
  const time = value.toNumber()
  if (time < 0) throw new BuiltinError('token time constraint: must not be negative')
  return time
}

function decodeVerify(text: string, constraints: Constraints): Value {
  const refused = [false, new RegoObject(), new RegoObject()]
  const token = splitToken(text)
  const header = parseHeader(decodeHeader(token))
  if (header.alg === '' || !header.understood) return refused
  if (constraints.alg !== '' && constraints.alg !== header.alg) return refused
  if (!signatureVerifies(token, header, constraints)) return refused
  if (header.cty.toUpperCase() === 'JWT')
    return decodeVerify(base64url(token.payload).toString(), constraints)
  const claims = decodeObject(token.payload)
  return claimsHold(claims, constraints) ? [true, header.fields, claims] : refused
}

function signatureVerifies(token: Token, header: Header, { keys, secret }: Constraints): boolean {
  const signature = base64url(token.signature)
  const algorithm = ALGORITHMS.get(header.alg)
  const verifies = (key: KeyObject) => algorithm?.verify(key, token.signed, signature) ?? false
  return keys ? anyVerifies(keys, header, verifies) : verifies(secretKey(secret))
}

/** RFC 7519, 4.1. A token for somebody is refused where nobody was asked for. */
function claimsHold(claims: RegoObject, constraints: Constraints): boolean {
  if (constraints.iss !== '' && claims.get('iss') !== constraints.iss) return false
  const audience = claims.get('aud')
  const audiences = Array.isArray(audience) ? audience : audience === undefined ? [''] : [audience]
  if (!audiences.includes(constraints.aud)) return false
  const now = new RegoNumber(formatFloat(constraints.time / 1e9, 'g', -1))
  const expires = claimedTime(claims, 'exp')
  if (expires && compareNumbers(now, expires) >= 0) return false
  const begins = claimedTime(claims, 'nbf')
  return !begins || compareNumbers(now, begins) >= 0
}

function claimedTime(claims: RegoObject, name: string): RegoNumber | undefined {
  const value = claims.get(name)
  if (value !== undefined && !(value instanceof RegoNumber))
    throw new BuiltinError(`${name} value must be a number`)
  return value
}

function encodeSign(headers: string, payload: string, keyText: string): string {
  const key = signingKey(keyText)
  const fields = unmarshal(headers)
  if (!(fields instanceof RegoObject)) throw new BuiltinError('JWT headers must be an object')
  const name = fields.get('alg')
  const algorithm = typeof name === 'string' ? ALGORITHMS.get(name) : undefined
  if (!algorithm) throw new BuiltinError(`unknown JWS algorithm: ${String(name)}`)
  const type = fields.get('typ')
  if (typeof type !== 'string' || type === 'JWT') unmarshal(payload)
  const content = `${Buffer.from(headers).toString('base64url')}.${Buffer.from(payload).toString('base64url')}`
  return `${content}.${algorithm.sign(key, content).toString('base64url')}`
}
