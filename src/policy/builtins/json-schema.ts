/**
 * JSON schema: a schema checked and made ready, drafts 4, 6 and 7 and what they have in common, as the
 * library that OPA uses understands them; its messages are part of what `json.verify_schema` answers.
 *
 * References lead within the document only: a schema may come from a request, and must not reach out.
 */
import { keyOf, RegoNumber, RegoObject, type Value } from '../values/values.ts'
import { BuiltinError } from './builtin.ts'
import { marshal } from './go-json.ts'
import { HYBRID, invalidType, limits, list, text, typesOf } from './json-schema-keywords.ts'
import { target } from './json-schema-reference.ts'
import { searchPattern } from './regex.ts'

export interface Schema {
  /** `true` or `false` in place of a schema. */
  always?: boolean
  reference?: Schema
  types: string[]
  properties: Map<string, Schema>
  patternProperties: [(text: string) => boolean, Schema][]
  additionalProperties?: boolean | Schema
  propertyNames?: Schema
  dependencies: Map<string, string[] | Schema>
  items?: Schema | Schema[]
  additionalItems?: boolean | Schema
  contains?: Schema
  limits: Partial<Record<Limit, RegoNumber>>
  pattern?: { source: string; matches: (text: string) => boolean }
  format?: string
  required: string[]
  uniqueItems: boolean
  constant?: string
  /** As JSON texts. */
  enumeration?: string[]
  oneOf: Schema[]
  anyOf: Schema[]
  allOf: Schema[]
  not?: Schema
  if?: Schema
  then?: Schema
  else?: Schema
}

export type Limit = Count | 'multipleOf' | 'minimum' | 'maximum' | 'exclusiveMinimum' | 'exclusiveMaximum'
export type Count = 'minLength' | 'maxLength' | 'minItems' | 'maxItems' | 'minProperties' | 'maxProperties'

const DRAFTS: Readonly<Record<string, number>> = {
  'http://json-schema.org/draft-04/schema': 4,
  'http://json-schema.org/draft-06/schema': 6,
  'http://json-schema.org/draft-07/schema': 7,
}
/** @throws BuiltinError when it is no schema */
export function compileSchema(document: Value): Schema {
  if (typeof document !== 'boolean' && !(document instanceof RegoObject))
    throw new BuiltinError('schema is invalid')
  return new Compiler(document).compile(document)
}

class Compiler {
  private readonly draft: number
  private readonly references = new Map<string, Schema>()

  constructor(private readonly root: Value) {
    const uri = root instanceof RegoObject ? root.get('$schema') : undefined
    if (uri !== undefined && typeof uri !== 'string') throw new BuiltinError('$schema must be of type string')
    this.draft = DRAFTS[uri?.replace(/#$/, '') ?? ''] ?? HYBRID
  }

  compile(node: Value): Schema {
    const schema: Schema = {
      types: [],
      properties: new Map(),
      patternProperties: [],
      dependencies: new Map(),
      limits: {},
      required: [],
      uniqueItems: false,
      oneOf: [],
      anyOf: [],
      allOf: [],
    }
    if (typeof node === 'boolean' && this.draft >= 6) return { ...schema, always: node }
    if (!(node instanceof RegoObject)) throw new BuiltinError('Expected: Valid Schema, given: Invalid JSON')
    this.fill(schema, node)
    return schema
  }

  private fill(schema: Schema, node: RegoObject): void {
    this.definitions(node)
    for (const key of ['$id', 'id', 'title', 'description']) text(node, key)
    const reference = text(node, '$ref')
    // Beside a reference nothing else counts.
    if (reference !== undefined) schema.reference = this.resolve(reference)
    else {
      schema.types = typesOf(node.get('type'))
      this.objectKeywords(schema, node)
      this.arrayKeywords(schema, node)
      limits(schema, node, this.draft)
      this.stringKeywords(schema, node)
      this.valueKeywords(schema, node)
      this.combinations(schema, node)
    }
  }

  private definitions(node: RegoObject): void {
    const definitions = node.get('definitions')
    if (definitions === undefined) return
    if (!(definitions instanceof RegoObject)) throw invalidType('Array Of Schemas', 'definitions')
    for (const [, definition] of definitions) this.sub(definition, 'Array Of Schemas', 'definitions')
  }

  private resolve(reference: string): Schema {
    const known = this.references.get(reference)
    if (known) return known
    // Known before it is filled: a schema may refer to itself.
    const schema = {} as Schema
    this.references.set(reference, schema)
    return Object.assign(schema, this.compile(target(this.root, reference)))
  }

  private sub(node: Value, expected: string, keyword: string): Schema {
    if (typeof node !== 'boolean' && !(node instanceof RegoObject)) throw invalidType(expected, keyword)
    return this.compile(node)
  }

  private objectKeywords(schema: Schema, node: RegoObject): void {
    const properties = node.get('properties')
    if (properties !== undefined) {
      if (!(properties instanceof RegoObject)) throw new BuiltinError('Properties must be of type object')
      for (const [name, property] of properties) schema.properties.set(name as string, this.compile(property))
    }
    const additional = node.get('additionalProperties')
    if (additional !== undefined)
      schema.additionalProperties = this.boolOrSchema(additional, 'additionalProperties')
    const patterns = node.get('patternProperties')
    if (patterns !== undefined) {
      if (!(patterns instanceof RegoObject)) throw invalidType('Valid Schema', 'patternProperties')
      for (const [pattern, property] of patterns.sorted()) {
        schema.patternProperties.push([
          regex(pattern as string, `Invalid regex pattern '${pattern}'`),
          this.compile(property),
        ])
      }
    }
    const names = node.get('propertyNames')
    if (names !== undefined && this.draft >= 6)
      schema.propertyNames = this.sub(names, 'Valid Schema', 'patternProperties')
    this.dependencies(schema, node.get('dependencies'))
    for (const name of list(node, 'required')) {
      if (typeof name !== 'string') throw invalidType('string', 'required')
      if (schema.required.includes(name)) throw new BuiltinError('required items must be unique')
      schema.required.push(name)
    }
  }

  private dependencies(schema: Schema, dependencies: Value | undefined): void {
    if (dependencies === undefined) return
    if (!(dependencies instanceof RegoObject)) throw new BuiltinError('dependencies must be of type object')
    for (const [name, dependency] of dependencies) {
      const names = Array.isArray(dependency) && dependency.every(item => typeof item === 'string')
      if (
        !names &&
        (Array.isArray(dependency) ||
          (typeof dependency !== 'boolean' && !(dependency instanceof RegoObject)))
      ) {
        throw new BuiltinError('Dependency must be of type Schema Or Array Of Strings')
      }
      schema.dependencies.set(name as string, names ? (dependency as string[]) : this.compile(dependency))
    }
  }

  private arrayKeywords(schema: Schema, node: RegoObject): void {
    const items = node.get('items')
    const expected = 'Valid Schema/Array Of Schemas'
    if (Array.isArray(items)) schema.items = items.map(item => this.sub(item, expected, 'items'))
    else if (items !== undefined) schema.items = this.sub(items, expected, 'items')
    const additional = node.get('additionalItems')
    if (additional !== undefined) schema.additionalItems = this.boolOrSchema(additional, 'additionalItems')
    const contains = node.get('contains')
    if (contains !== undefined && this.draft >= 6) schema.contains = this.compile(contains)
    const unique = node.get('uniqueItems') ?? false
    if (typeof unique !== 'boolean') throw new BuiltinError('uniqueItems must be of a boolean')
    schema.uniqueItems = unique
  }

  private boolOrSchema(node: Value, keyword: string): boolean | Schema {
    if (typeof node === 'boolean') return node
    if (!(node instanceof RegoObject)) throw invalidType('boolean/Valid Schema', keyword)
    return this.compile(node)
  }

  private stringKeywords(schema: Schema, node: RegoObject): void {
    const pattern = text(node, 'pattern')
    if (pattern !== undefined)
      schema.pattern = { source: pattern, matches: regex(pattern, 'pattern must be a valid regex') }
    const format = text(node, 'format')
    if (format !== undefined) schema.format = format
  }

  private valueKeywords(schema: Schema, node: RegoObject): void {
    const constant = node.get('const')
    if (constant !== undefined && this.draft >= 6) schema.constant = plainJson(constant)
    if (!node.has('enum')) return
    schema.enumeration = list(node, 'enum').map(plainJson)
    if (new Set(schema.enumeration).size < schema.enumeration.length)
      throw new BuiltinError('enum items must be unique')
  }

  private combinations(schema: Schema, node: RegoObject): void {
    for (const keyword of ['oneOf', 'anyOf', 'allOf'] as const)
      schema[keyword] = list(node, keyword).map(one => this.compile(one))
    const conditions = this.draft >= 7 ? (['not', 'if', 'then', 'else'] as const) : (['not'] as const)
    for (const keyword of conditions) {
      const one = node.get(keyword)
      if (one === undefined) continue
      if (typeof one !== 'boolean' && !(one instanceof RegoObject))
        throw new BuiltinError(`${keyword} must be of an object`)
      schema[keyword] = this.compile(one)
    }
  }
}

function regex(pattern: string, complaint: string): (text: string) => boolean {
  try {
    return searchPattern(pattern)
  } catch (cause) {
    throw new BuiltinError(complaint, { cause })
  }
}

/** JSON in which numbers that are equal look equal. */
export function plainJson(value: Value): string {
  if (value instanceof RegoNumber) return keyOf(value)
  if (Array.isArray(value)) return `[${value.map(plainJson).join()}]`
  if (value instanceof RegoObject) {
    return `{${value
      .sorted()
      .map(([key, member]) => `${marshal(key)}:${plainJson(member)}`)
      .join()}}`
  }
  return marshal(value)
}
