/**
 * JSON schema validate: a document held against a schema, with the findings that OPA gives, in its words.
 *
 * A score says how much of a schema held: of several alternatives that all fail, the findings of the one
 * that came closest are shown.
 */
import { compareNumbers, RegoNumber, RegoObject, type Value } from '../values/values.ts'
import type { Evaluation } from './builtin.ts'
import { formatFloat } from './go-float.ts'
import { type Limit, plainJson, type Schema } from './json-schema.ts'
import { type Finding, Result, ROOT } from './json-schema-findings.ts'
import { hasFormat } from './json-schema-formats.ts'

/** Of a schema that refers to itself, alternatives can take 2ⁿ checks: each looks at the clock. */
export function validate(schema: Schema, document: Value, evaluation: Evaluation): Finding[] {
  return check(schema, document, ROOT, evaluation).findings
}

function check(schema: Schema, value: Value, path: string, evaluation: Evaluation): Result {
  evaluation.checkpoint()
  const result = new Result(path, evaluation)
  checkInto(result, schema, value)
  return result
}

function checkInto(result: Result, schema: Schema, value: Value): void {
  if (schema.always !== undefined) {
    if (!schema.always) result.add('false', 'False always fails validation')
    return
  }
  if (schema.reference) {
    checkInto(result, schema.reference, value)
    return
  }
  const given = typeOf(value)
  if (
    schema.types.length > 0 &&
    !schema.types.includes(given) &&
    !(given === 'integer' && schema.types.includes('number'))
  ) {
    const expected = schema.types.length > 1 ? `[${schema.types.join()}]` : schema.types[0]
    result.add('invalid_type', `Invalid type. Expected: ${expected}, given: ${given}`)
    return
  }
  combinations(result, schema, value)
  if (Array.isArray(value)) items(result, schema, value)
  else if (value instanceof RegoObject) members(result, schema, value)
  else if (value instanceof RegoNumber) numbers(result, schema, value)
  common(result, schema, value)
  if (typeof value === 'string') text(result, schema, value)
  if (value instanceof RegoObject) properties(result, schema, value)
  result.score++
}

function typeOf(value: Value): string {
  if (value === null) return 'null'
  if (value instanceof RegoNumber) return value.isInteger() ? 'integer' : 'number'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'object' ? 'object' : typeof value
}

function combinations(result: Result, schema: Schema, value: Value): void {
  const against = (one: Schema) => check(one, value, result.path, result.evaluation)
  if (schema.anyOf.length > 0) anyOf(result, schema.anyOf, against)
  if (schema.oneOf.length > 0) oneOf(result, schema.oneOf.map(against))
  if (schema.allOf.length > 0) {
    const all = schema.allOf.map(against)
    for (const one of all) result.merge(one)
    if (all.some(one => !one.valid)) result.add('number_all_of', 'Must validate all the schemas (allOf)')
  }
  if (schema.not && against(schema.not).valid) result.add('number_not', 'Must not validate the schema (not)')
  if (value instanceof RegoObject) dependencies(result, schema, value)
  if (schema.if) condition(result, schema, against(schema.if).valid, against)
  result.score++
}

function anyOf(result: Result, schemas: readonly Schema[], against: (one: Schema) => Result): void {
  const failed: Result[] = []
  for (const one of schemas) {
    const tried = against(one)
    if (tried.valid) return
    failed.push(tried)
  }
  result.add('number_any_of', 'Must validate at least one schema (anyOf)')
  result.merge(closest(failed))
}

function oneOf(result: Result, tried: readonly Result[]): void {
  const held = tried.filter(one => one.valid).length
  if (held === 1) return
  result.add('number_one_of', 'Must validate one and only one schema (oneOf)')
  if (held === 0) result.merge(closest(tried))
}

function closest(results: readonly Result[]): Result {
  return results.reduce((best, one) => (one.score > best.score ? one : best))
}

function dependencies(result: Result, schema: Schema, value: RegoObject): void {
  for (const [key] of value.sorted()) {
    const dependency = schema.dependencies.get(key as string)
    if (Array.isArray(dependency)) {
      for (const name of dependency)
        if (!value.has(name)) result.add('missing_dependency', `Has a dependency on ${name}`)
    } else if (dependency) checkInto(result, dependency, value)
  }
}

function condition(result: Result, schema: Schema, holds: boolean, against: (one: Schema) => Result): void {
  const consequence = holds ? schema.then : schema.else
  const checked = consequence && against(consequence)
  if (!checked || checked.valid) return
  if (holds) result.add('condition_then', 'Must validate "then" as "if" was valid')
  else result.add('condition_else', 'Must validate "else" as "if" was not valid')
  result.merge(checked)
}

function common(result: Result, schema: Schema, value: Value): void {
  const json = plainJson(value)
  if (schema.constant !== undefined && json !== schema.constant)
    result.add('const', `{field} does not match: ${schema.constant}`)
  if (schema.enumeration && !schema.enumeration.includes(json)) {
    result.add('enum', `{field} must be one of the following: ${schema.enumeration.join(', ')}`)
  }
  if (schema.format !== undefined && typeof value === 'string' && !hasFormat(schema.format, value)) {
    result.add('format', `Does not match format '${schema.format}'`)
  }
  result.score++
}

function items(result: Result, schema: Schema, values: readonly Value[]): void {
  const at = (i: number) => `${result.path}.${i}`
  if (Array.isArray(schema.items)) {
    const schemas = schema.items
    for (const [i, one] of schemas.slice(0, values.length).entries())
      result.merge(check(one, values[i] as Value, at(i), result.evaluation))
    if (schemas.length > 0 && schemas.length < values.length)
      additionalItems(result, schema, values, schemas.length)
  } else if (schema.items) {
    const one = schema.items
    for (const [i, value] of values.entries()) result.merge(check(one, value, at(i), result.evaluation))
  }
  const { minItems, maxItems } = schema.limits
  if (minItems && values.length < minItems.toNumber())
    result.add('array_min_items', `Array must have at least ${minItems.text} items`)
  if (maxItems && values.length > maxItems.toNumber())
    result.add('array_max_items', `Array must have at most ${maxItems.text} items`)
  if (schema.uniqueItems) unique(result, values)
  if (schema.contains) contains(result, schema.contains, values)
  result.score++
}

function additionalItems(
  result: Result,
  { additionalItems: rule }: Schema,
  values: readonly Value[],
  from: number,
): void {
  if (rule === false) result.add('array_no_additional_items', 'No additional items allowed on array')
  else if (typeof rule === 'object') {
    for (const [i, value] of values.slice(from).entries())
      result.merge(check(rule, value, `${result.path}.${from + i}`, result.evaluation))
  }
}

function unique(result: Result, values: readonly Value[]): void {
  const seen = new Map<string, number>()
  values.forEach((value, j) => {
    const json = plainJson(value)
    const i = seen.get(json)
    if (i !== undefined) result.add('unique', `array items[${i},${j}] must be unique`)
    seen.set(json, j)
  })
}

function contains(result: Result, schema: Schema, values: readonly Value[]): void {
  const tried = values.map((value, i) => check(schema, value, `${result.path}.${i}`, result.evaluation))
  if (tried.some(one => one.valid)) return
  result.add('contains', 'At least one of the items must match')
  if (tried.length > 0) result.merge(closest(tried))
}

function members(result: Result, schema: Schema, value: RegoObject): void {
  const { minProperties, maxProperties } = schema.limits
  if (minProperties && value.size < minProperties.toNumber()) {
    result.add('array_min_properties', `Must have at least ${minProperties.text} properties`)
  }
  if (maxProperties && value.size > maxProperties.toNumber()) {
    result.add('array_max_properties', `Must have at most ${maxProperties.text} properties`)
  }
  for (const name of schema.required) {
    if (value.has(name)) result.score++
    else result.add('required', `${name} is required`)
  }
  for (const [key, member] of value.sorted()) additionalMember(result, schema, key as string, member)
  if (schema.propertyNames) {
    for (const [key] of value.sorted()) {
      const checked = check(schema.propertyNames, key, result.path, result.evaluation)
      if (checked.valid) continue
      result.add('invalid_property_name', `Property name of "${key as string}" does not match`)
      result.merge(checked)
    }
  }
  result.score++
}

function additionalMember(result: Result, schema: Schema, key: string, member: Value): void {
  const path = `${result.path}.${key}`
  const matching = schema.patternProperties.filter(([matches]) => matches(key))
  for (const [, one] of matching) result.merge(check(one, member, path, result.evaluation))
  if (matching.length > 0) result.score++
  else if (!schema.properties.has(key)) {
    const rule = schema.additionalProperties
    if (rule === false)
      result.add('additional_property_not_allowed', `Additional property ${key} is not allowed`)
    else if (typeof rule === 'object') result.merge(check(rule, member, path, result.evaluation))
  }
}

function properties(result: Result, schema: Schema, value: RegoObject): void {
  for (const [name, one] of schema.properties) {
    const member = value.get(name)
    if (member !== undefined) result.merge(check(one, member, `${result.path}.${name}`, result.evaluation))
  }
}

function text(result: Result, schema: Schema, value: string): void {
  const length = [...value].length
  const { minLength, maxLength } = schema.limits
  if (minLength && length < minLength.toNumber()) {
    result.add('string_gte', `String length must be greater than or equal to ${minLength.text}`)
  }
  if (maxLength && length > maxLength.toNumber()) {
    result.add('string_lte', `String length must be less than or equal to ${maxLength.text}`)
  }
  if (schema.pattern && !schema.pattern.matches(value))
    result.add('pattern', `Does not match pattern '${schema.pattern.source}'`)
  result.score++
}

const BOUNDS: readonly [Limit, (order: number) => boolean, string, string][] = [
  ['maximum', order => order <= 0, 'number_lte', 'Must be less than or equal to'],
  ['exclusiveMaximum', order => order < 0, 'number_lt', 'Must be less than'],
  ['minimum', order => order >= 0, 'number_gte', 'Must be greater than or equal to'],
  ['exclusiveMinimum', order => order > 0, 'number_gt', 'Must be greater than'],
]

function numbers(result: Result, { limits }: Schema, value: RegoNumber): void {
  const multiple = limits.multipleOf
  if (multiple && !isMultiple(value, multiple))
    result.add('multiple_of', `Must be a multiple of ${shown(multiple)}`)
  for (const [limit, holds, type, words] of BOUNDS) {
    const bound = limits[limit]
    if (bound && !holds(compareNumbers(value, bound))) result.add(type, `${words} ${shown(bound)}`)
  }
  result.score++
}

/** Exactly, in the smallest decimal unit of the two. */
function isMultiple(value: RegoNumber, multiple: RegoNumber): boolean {
  const [a, b] = [scaled(value), scaled(multiple)]
  const places = Math.max(a.places, b.places)
  return (a.digits * 10n ** BigInt(places - a.places)) % (b.digits * 10n ** BigInt(places - b.places)) === 0n
}

const MOST_PLACES = 5000

function scaled({ text }: RegoNumber): { digits: bigint; places: number } {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const places = Math.max(Math.min(fraction.length - Number(exponent), MOST_PLACES), -MOST_PLACES)
  const digits = BigInt(whole + fraction)
  return places >= 0 ? { digits, places } : { digits: digits * 10n ** BigInt(-places), places: 0 }
}

function shown(number: RegoNumber): string {
  return formatFloat(number.toNumber(), 'g', -1)
}
