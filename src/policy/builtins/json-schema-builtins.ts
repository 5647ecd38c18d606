/** json.match_schema and json.verify_schema: documents and schemas, each as JSON text or as a value. */
import { keyOf, RegoObject, RegoSet, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins } from './builtin.ts'
import { asJson, unmarshal } from './go-json.ts'
import { compileSchema, type Schema } from './json-schema.ts'
import { validate } from './json-schema-validate.ts'

export const jsonSchema: Builtins = {
  'json.verify_schema': ([schema]) => {
    try {
      compileSchema(documentOf(schema as Value))
      return [true, null]
    } catch (cause) {
      if (cause instanceof BuiltinError) return [false, `jsonschema: ${cause.message}`]
      throw cause
    }
  },
  'json.match_schema': ([document, schema], evaluation) => {
    const findings = validate(compiled(schema as Value), documentOf(document as Value), evaluation)
    const shown = findings.map(({ type, field, description }) =>
      RegoObject.of({ error: `${field}: ${description}`, type, field, desc: description }),
    )
    return [findings.length === 0, shown]
  },
}

const CACHE_SIZE = 64
const cache = new Map<string, Schema>()

/** A policy holds many documents against one schema. */
function compiled(value: Value): Schema {
  const key = keyOf(value)
  const known = cache.get(key)
  if (known) return known
  const schema = compileSchema(documentOf(value))
  if (cache.size >= CACHE_SIZE) cache.clear()
  cache.set(key, schema)
  return schema
}

function documentOf(value: Value): Value {
  if (typeof value === 'string') {
    try {
      return unmarshal(value)
    } catch (cause) {
      throw new BuiltinError('invalid JSON string', { cause })
    }
  }
  if (value instanceof RegoObject || (Array.isArray(value) && !(value instanceof RegoSet)))
    return asJson(value)
  throw new BuiltinError('wrong type, expected string or object')
}
