/** graphql.*: queries and schemas, parsed, and held against each other. */
import { RegoObject, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, string, typeError } from './builtin.ts'
import { fromPlain, toPlain } from './go-json.ts'
import type { QueryDocument, SchemaDocument } from './graphql-ast.ts'
import { printQuery, printSchema } from './graphql-print.ts'
import { queryFits, readQuery, readSchema } from './graphql-read.ts'
import { ownTypes, type Schema, validSchema } from './graphql-schema.ts'

export const graphql: Builtins = {
  'graphql.parse_query': operands => shown(readQuery(string(operands, 0))),
  'graphql.parse_schema': operands => shown(readSchema(string(operands, 0))),
  'graphql.parse': operands => verified(operands),
  'graphql.parse_and_verify': operands =>
    attempt(() => [true, ...verified(operands)]) ?? [false, new RegoObject(), new RegoObject()],
  'graphql.is_valid': operands => attempt(() => verified(operands)) !== undefined,
  'graphql.schema_is_valid': operands => attempt(() => validSchema(schemaOf(operands, 0))) !== undefined,
}

/** @throws BuiltinError when one of them cannot be read, or the query does not fit the schema */
function verified(operands: readonly Value[]): [Value, Value] {
  const query = queryOf(operands, 0)
  const document = schemaOf(operands, 1)
  const schema = validSchema(document)
  if (!queryFits(schemaText(document, schema), printQuery(query)))
    throw new BuiltinError('the query does not fit the schema')
  return [shown(query), shown(document)]
}

function schemaText(document: SchemaDocument, schema: Schema): string {
  const { Schema = [], SchemaExtension = [], Directives = [] } = document
  // Without a definition, the usual names are the roots; an extension alone does not change that.
  const roots = Schema.length > 0 ? [...Schema, ...SchemaExtension] : [...SchemaExtension, usualRoots(schema)]
  return printSchema(roots, Directives, ownTypes(schema))
}

function usualRoots({ types }: Schema) {
  const usual = ['Query', 'Mutation', 'Subscription'].filter(name => types.has(name))
  return { Description: '', OperationTypes: usual.map(Type => ({ Operation: Type.toLowerCase(), Type })) }
}

function queryOf(operands: readonly Value[], position: number): QueryDocument {
  const value = operands[position] as Value
  if (typeof value === 'string') return readQuery(value)
  if (value instanceof RegoObject) return toPlain(value) as QueryDocument
  throw typeError(position, 'one of {string, object}', value)
}

function schemaOf(operands: readonly Value[], position: number): SchemaDocument {
  const value = operands[position] as Value
  if (typeof value === 'string') return readSchema(value)
  if (value instanceof RegoObject) return toPlain(value) as SchemaDocument
  throw typeError(position, 'one of {string, object}', value)
}

/** A document handed in as an object may lack anything: then it is as little valid as a bad text. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof BuiltinError || cause instanceof TypeError) return undefined
    throw cause
  }
}

/** Without what is null or empty, all the way down. */
function shown(document: object): Value {
  return fromPlain(pruned(document))
}

function pruned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pruned).filter(item => !isEmpty(item))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([key, member]) => [key, pruned(member)] as const)
  return Object.fromEntries(members.filter(([, member]) => !isEmpty(member)))
}

function isEmpty(value: unknown): boolean {
  return (
    value === null || value === undefined || (typeof value === 'object' && Object.keys(value).length === 0)
  )
}
