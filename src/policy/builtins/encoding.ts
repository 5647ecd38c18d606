/**
 * Encodings: JSON, base64, hex and URL queries. The module has some itself, and they are loose: it takes
 * `[1 2]` for a list and `Y W` for base64, gives up on half a surrogate pair, and writes keys in no order.
 */
import { compareStrings, RegoObject, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, boolean, object, string, typeError } from './builtin.ts'
import { asJson, marshal, unmarshal } from './go-json.ts'
import { base64, base64url } from './pem.ts'

export const encoding: Builtins = {
  'json.marshal': ([value]) => marshal(value as Value),
  'json.unmarshal': operands => unmarshal(string(operands, 0)),
  'json.is_valid': ([text]) => typeof text === 'string' && succeeds(() => unmarshal(text)),
  'json.marshal_with_options': operands => {
    const { pretty, indent, prefix } = marshalOptions(object(operands, 1))
    const value = operands[0] as Value
    return pretty ? prefix + marshal(value, indent, prefix) : marshal(value)
  },
  'base64.decode': operands => base64(string(operands, 0)).toString(),
  'base64.is_valid': ([text]) => typeof text === 'string' && succeeds(() => base64(text)),
  'base64url.decode': operands => base64url(string(operands, 0)).toString(),
  'base64url.encode_no_pad': operands => Buffer.from(string(operands, 0)).toString('base64url'),
  'hex.encode': operands => Buffer.from(string(operands, 0)).toString('hex'),
  'hex.decode': operands => {
    const text = string(operands, 0)
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new BuiltinError('encoding/hex: invalid')
    return Buffer.from(text, 'hex').toString()
  },
  'urlquery.encode': operands => escapeQuery(string(operands, 0)),
  'urlquery.decode': operands => unescapeQuery(string(operands, 0)),
  'urlquery.encode_object': operands => encodeQuery(operands[0] as Value),
  'urlquery.decode_object': operands => decodeQuery(string(operands, 0)),
}

function succeeds(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch (cause) {
    if (cause instanceof BuiltinError) return false
    throw cause
  }
}

function marshalOptions(options: RegoObject): { pretty: boolean; indent: string; prefix: string } {
  let pretty: boolean | undefined
  let indent: string | undefined
  let prefix: string | undefined
  for (const [key, value] of options) {
    if (key === 'pretty') pretty = boolean([value], 0)
    else if (key === 'indent') indent = string([value], 0)
    else if (key === 'prefix') prefix = string([value], 0)
    else throw new BuiltinError(`operand 2 object contained unknown key ${String(key)}`)
  }
  const implied = indent !== undefined || prefix !== undefined
  return { pretty: pretty ?? implied, indent: indent ?? '\t', prefix: prefix ?? '' }
}

/** As Go's `url.QueryEscape`: encodeURIComponent leaves `!'()*` alone and writes a space as `%20`. */
export function escapeQuery(text: string): string {
  const sound = text.replace(/\p{Surrogate}/gu, '\ufffd')
  return encodeURIComponent(sound)
    .replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

function unescapeQuery(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new BuiltinError('invalid URL escape')
  const spaced = text.replaceAll('+', ' ')
  // Not decodeURIComponent: an escape may stand for any byte, also one that is no UTF-8.
  return spaced.replace(/(?:%[0-9a-fA-F]{2})+/g, run =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  )
}

function encodeQuery(value: Value): string {
  const fields = asJson(value)
  if (!(fields instanceof RegoObject)) throw typeError(0, 'object', value)
  const pairs = [...fields]
    .sort(([a], [b]) => compareStrings(a as string, b as string))
    .flatMap(([key, field]) => {
      const values = Array.isArray(field) ? field : [field]
      return values.map(item => {
        if (typeof item !== 'string')
          throw new BuiltinError('operand 1 values must be string, array[string], or set[string]')
        return `${escapeQuery(key as string)}=${escapeQuery(item)}`
      })
    })
  return pairs.join('&')
}

function decodeQuery(query: string): RegoObject {
  const fields = new RegoObject()
  for (const part of query.split('&')) {
    if (part === '') continue
    if (part.includes(';')) throw new BuiltinError('invalid semicolon separator in query')
    const cut = part.indexOf('=')
    const key = unescapeQuery(cut < 0 ? part : part.slice(0, cut))
    const value = cut < 0 ? '' : unescapeQuery(part.slice(cut + 1))
    fields.set(key, [...((fields.get(key) as Value[] | undefined) ?? []), value])
  }
  return fields
}
