/** JWT token: a token taken apart (RFC 7515, compact serialization), not yet believed. */
import { RegoObject, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import { unmarshal } from './go-json.ts'
import { base64url } from './pem.ts'

export interface Token {
  header: string
  payload: string
  signature: string
  /** What the signature is over. */
  signed: string
}

export interface Header {
  fields: RegoObject
  alg: string
  kid: string
  cty: string
  /** Whether every extension that must be understood is. */
  understood: boolean
}

/** @throws BuiltinError */
export function splitToken(text: string): Token {
  const [header = '', payload = '', signature = '', ...more] = text.split('.')
  if (text.split('.').length !== 3 || more.length > 0)
    throw new BuiltinError('encoded JWT must have 3 sections')
  return { header, payload, signature, signed: `${header}.${payload}` }
}

/** @throws BuiltinError when it is no JSON object, or of an encrypted token */
export function decodeHeader({ header }: Token): RegoObject {
  const fields = decodeObject(header)
  if (fields.has('enc')) throw new BuiltinError('JWT is a JWE object, which is not supported')
  return fields
}

/** @throws BuiltinError */
export function decodeObject(part: string): RegoObject {
  const value = unmarshal(base64url(part).toString())
  if (!(value instanceof RegoObject)) throw new BuiltinError('decoded JSON type was not an Object')
  return value
}

const KNOWN = new Set(['alg', 'kid', 'typ', 'cty', 'crit'])

/** @throws BuiltinError when a field is not of its type */
export function parseHeader(fields: RegoObject): Header {
  const [alg, kid, , cty] = ['alg', 'kid', 'typ', 'cty'].map(name => {
    const value = fields.get(name) ?? ''
    if (typeof value !== 'string') throw new BuiltinError(`${name}: must be a string`)
    return value
  }) as [string, string, string, string]
  const critical = criticalFields(fields.get('crit'))
  const understood = ![...fields].some(
    ([name]) => !KNOWN.has(name as string) && critical.includes(name as string),
  )
  return { fields, alg, kid, cty, understood }
}

function criticalFields(value: Value | undefined): Value[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new BuiltinError('crit: must be a list')
  const names = value.filter(name => typeof name === 'string')
  if (names.length === 0) throw new BuiltinError('crit: must be a nonempty list')
  return names
}
