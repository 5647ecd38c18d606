/** JSON schema: keywords that hold a value and no schema: types, bounds and counts. */
import { RegoNumber, type RegoObject, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import type { Count, Schema } from './json-schema.ts'

const TYPES = ['array', 'boolean', 'integer', 'number', 'null', 'object', 'string']
/** Pairs that must not contradict each other; that of items is not looked at. */
const COUNTS: readonly [Count, Count][] = [
  ['minLength', 'maxLength'],
  ['minProperties', 'maxProperties'],
]
/** All drafts at once, where a schema does not say. */
export const HYBRID = 99

export function typesOf(type: Value | undefined): string[] {
  if (type === undefined) return []
  const types = Array.isArray(type) ? type : [type]
  const seen = new Set<string>()
  for (const one of types) {
    if (typeof one !== 'string') throw invalidType('type', 'string/Array Of Strings')
    if (!TYPES.includes(one)) {
      const valid = '[array boolean integer number null object string]'
      throw new BuiltinError(
        `has a primitive type that is NOT VALID -- given: /${one}/ Expected valid values are:${valid}`,
      )
    }
    if (seen.has(one)) throw new BuiltinError(`${one} type is duplicated`)
    seen.add(one)
  }
  return [...seen]
}

export function limits(schema: Schema, node: RegoObject, draft: number): void {
  const multiple = node.get('multipleOf')
  if (multiple !== undefined) {
    if (!(multiple instanceof RegoNumber)) throw invalidType('Number', 'multipleOf')
    if (multiple.toNumber() <= 0) throw new BuiltinError('multipleOf must be strictly greater than 0')
    schema.limits.multipleOf = multiple
  }
  bound(schema, node, 'minimum', 'exclusiveMinimum', draft)
  bound(schema, node, 'maximum', 'exclusiveMaximum', draft)
  for (const keyword of ['minItems', 'maxItems'] as const) count(schema, node, keyword)
  for (const [least, most] of COUNTS) {
    const [low, high] = [count(schema, node, least), count(schema, node, most)]
    if (low !== undefined && high !== undefined && low > high)
      throw new BuiltinError(`${least} cannot be greater than ${most}`)
  }
}

type Bound = 'minimum' | 'maximum'
type ExclusiveBound = 'exclusiveMinimum' | 'exclusiveMaximum'

/** In draft 4 `exclusive…` is a flag beside the bound, later a bound of its own. */
function bound(
  schema: Schema,
  node: RegoObject,
  inclusive: Bound,
  exclusive: ExclusiveBound,
  draft: number,
): void {
  const value = node.get(inclusive)
  if (value !== undefined) {
    if (!(value instanceof RegoNumber)) throw new BuiltinError(`${inclusive} must be of a Number`)
    schema.limits[inclusive] = value
  }
  const mark = node.get(exclusive)
  if (mark === undefined) return
  if (typeof mark === 'boolean' && (draft === 4 || draft === HYBRID)) {
    if (!schema.limits[inclusive]) throw new BuiltinError(`${exclusive} cannot be used without ${inclusive}`)
    if (!mark) return
    schema.limits[exclusive] = schema.limits[inclusive]
    delete schema.limits[inclusive]
  } else if (mark instanceof RegoNumber && draft !== 4) schema.limits[exclusive] = mark
  else throw invalidType(draft === 4 ? 'boolean' : draft === HYBRID ? 'boolean/number' : 'number', exclusive)
}

function count(schema: Schema, node: RegoObject, keyword: Count): bigint | undefined {
  const value = node.get(keyword)
  if (value === undefined) return undefined
  const whole = value instanceof RegoNumber ? value.toBigInt() : undefined
  if (whole === undefined) throw new BuiltinError(`${keyword} must be of an integer`)
  if (whole < 0n) throw new BuiltinError(`${keyword} must be greater than or equal to 0`)
  schema.limits[keyword] = RegoNumber.of(whole)
  return whole
}

export function text(node: RegoObject, keyword: string): string | undefined {
  const value = node.get(keyword)
  if (value !== undefined && typeof value !== 'string') throw invalidType('string', keyword)
  return value
}

export function list(node: RegoObject, keyword: string): Value[] {
  const value = node.get(keyword)
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new BuiltinError(`${keyword} must be of an array`)
  return value
}

export function invalidType(expected: string, given: string): BuiltinError {
  return new BuiltinError(`Invalid type. Expected: ${expected}, given: ${given}`)
}
