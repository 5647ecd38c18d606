/**
 * GraphQL read: the only door to `graphql`: text to documents, and queries held against a schema.
 */
import { createRequire } from 'node:module'
import type * as GraphQL from 'graphql'
import { BuiltinError } from './builtin.ts'
import {
  type Argument,
  type ArgumentDefinition,
  type Definition,
  type Directive,
  type FieldDefinition,
  KIND,
  type QueryDocument,
  type SchemaDefinition,
  type SchemaDocument,
  type Selection,
  type Type,
  type Value,
  type Variable,
} from './graphql-ast.ts'

let loaded: typeof GraphQL | undefined

/** Loaded once a policy needs it, which is seldom: it would take a tenth of the time to start. */
function library(): typeof GraphQL {
  loaded ??= createRequire(import.meta.url)('graphql') as typeof GraphQL
  return loaded
}

/** @throws BuiltinError */
export function readQuery(text: string): QueryDocument {
  const document: QueryDocument = { Operations: [], Fragments: [] }
  for (const node of definitionsIn(text)) {
    if (node.kind === 'OperationDefinition') {
      document.Operations?.push({
        Operation: node.operation,
        Name: node.name?.value ?? '',
        VariableDefinitions: (node.variableDefinitions ?? []).map(variable),
        Directives: directives(node),
        SelectionSet: selections(node.selectionSet),
      })
    } else if (node.kind === 'FragmentDefinition') {
      document.Fragments?.push({
        Name: node.name.value,
        VariableDefinition: (node.variableDefinitions ?? []).map(variable),
        TypeCondition: node.typeCondition.name.value,
        Directives: directives(node),
        SelectionSet: selections(node.selectionSet),
      })
    } else throw new BuiltinError(`Unexpected ${node.kind} in GraphQL query`)
  }
  return document
}

/** @throws BuiltinError */
export function readSchema(text: string): SchemaDocument {
  const document: Required<SchemaDocument> = {
    Schema: [],
    SchemaExtension: [],
    Directives: [],
    Definitions: [],
    Extensions: [],
  }
  for (const node of definitionsIn(text)) {
    if (node.kind === 'SchemaDefinition') document.Schema.push(schema(node))
    else if (node.kind === 'SchemaExtension') document.SchemaExtension.push(schema(node))
    else if (node.kind === 'DirectiveDefinition') {
      document.Directives.push({
        Description: node.description?.value ?? '',
        Name: node.name.value,
        Arguments: (node.arguments ?? []).map(input),
        Locations: node.locations.map(({ value }) => value),
        IsRepeatable: node.repeatable,
      })
    } else if (library().isTypeDefinitionNode(node)) document.Definitions.push(definition(node))
    else if (library().isTypeExtensionNode(node)) document.Extensions.push(definition(node))
    else throw new BuiltinError(`Unexpected ${node.kind} in GraphQL schema`)
  }
  return document
}

/** Whether a query may be asked of a schema, both as text; the schema's own rules have been looked at. */
export function queryFits(schemaText: string, queryText: string): boolean {
  if (BLANK.test(queryText)) return true
  try {
    const built = library().buildSchema(schemaText, { assumeValid: true, assumeValidSDL: true })
    const query = library().parse(queryText, { allowLegacyFragmentVariables: true })
    const rootless = query.definitions.some(
      node => node.kind === 'OperationDefinition' && !built.getRootType(node.operation),
    )
    return !rootless && library().validate(built, query).length === 0
  } catch (cause) {
    if (cause instanceof library().GraphQLError) return false
    throw cause
  }
}

/** Nothing but what GraphQL passes over: an empty document, which is none to the library(). */
const BLANK = /^(?:[\ufeff\s,]|#[^\r\n]*)*$/

function definitionsIn(text: string): readonly GraphQL.DefinitionNode[] {
  if (BLANK.test(text)) return []
  try {
    return library().parse(text, { allowLegacyFragmentVariables: true, noLocation: true }).definitions
  } catch (cause) {
    throw new BuiltinError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function variable(node: GraphQL.VariableDefinitionNode): Variable {
  return {
    Variable: node.variable.name.value,
    Type: type(node.type),
    ...withDefault(node.defaultValue),
    Directives: directives(node),
    Used: false,
  }
}

function selections(set: GraphQL.SelectionSetNode | undefined): Selection[] {
  return (set?.selections ?? []).map((node): Selection => {
    if (node.kind === 'FragmentSpread') return { Name: node.name.value, Directives: directives(node) }
    const inner = { Directives: directives(node), SelectionSet: selections(node.selectionSet) }
    if (node.kind === 'InlineFragment')
      return { TypeCondition: node.typeCondition?.name.value ?? '', ...inner }
    const name = node.name.value
    return { Alias: node.alias?.value ?? name, Name: name, Arguments: callArguments(node), ...inner }
  })
}

function directives(node: {
  readonly directives?: readonly GraphQL.DirectiveNode[] | undefined
}): Directive[] {
  return (node.directives ?? []).map(directive => ({
    Name: directive.name.value,
    Arguments: callArguments(directive),
    Location: '',
  }))
}

function callArguments(node: {
  readonly arguments?: readonly GraphQL.ArgumentNode[] | undefined
}): Argument[] {
  return (node.arguments ?? []).map(({ name, value: given }) => ({ Name: name.value, Value: value(given) }))
}

function value(node: GraphQL.ValueNode): Value {
  const leaf = (Kind: number, Raw: string): Value => ({ Raw, Kind, ExpectedTypeHasDefault: false })
  switch (node.kind) {
    case 'Variable':
      return leaf(KIND.variable, node.name.value)
    case 'IntValue':
      return leaf(KIND.int, node.value)
    case 'FloatValue':
      return leaf(KIND.float, node.value)
    case 'StringValue':
      return leaf(node.block ? KIND.block : KIND.string, node.value)
    case 'BooleanValue':
      return leaf(KIND.boolean, String(node.value))
    case 'NullValue':
      return leaf(KIND.null, 'null')
    case 'EnumValue':
      return leaf(KIND.enum, node.value)
    case 'ListValue': {
      const items = node.values.map(item => ({ Name: '', Value: value(item) }))
      return { ...leaf(KIND.list, ''), Children: items }
    }
    case 'ObjectValue': {
      const fields = node.fields.map(({ name, value: item }) => ({ Name: name.value, Value: value(item) }))
      return { ...leaf(KIND.object, ''), Children: fields }
    }
    default:
      throw new BuiltinError('unexpected value in GraphQL')
  }
}

function withDefault(node: GraphQL.ValueNode | undefined): { DefaultValue?: Value } {
  return node ? { DefaultValue: value(node) } : {}
}

function type(node: GraphQL.TypeNode): Type {
  if (node.kind === 'NonNullType') return { ...type(node.type), NonNull: true }
  if (node.kind === 'ListType') return { NamedType: '', Elem: type(node.type), NonNull: false }
  return { NamedType: node.name.value, NonNull: false }
}

function schema(node: GraphQL.SchemaDefinitionNode | GraphQL.SchemaExtensionNode): SchemaDefinition {
  return {
    Description: ('description' in node && node.description?.value) || '',
    Directives: directives(node),
    OperationTypes: (node.operationTypes ?? []).map(root => ({
      Operation: root.operation,
      Type: root.type.name.value,
    })),
  }
}

const KINDS: Record<string, Definition['Kind']> = {
  Scalar: 'SCALAR',
  Object: 'OBJECT',
  Interface: 'INTERFACE',
  Union: 'UNION',
  Enum: 'ENUM',
  InputObject: 'INPUT_OBJECT',
}

function definition(node: GraphQL.TypeDefinitionNode | GraphQL.TypeExtensionNode): Definition {
  return {
    Kind: KINDS[node.kind.replace(/Type(?:Definition|Extension)$/, '')] as Definition['Kind'],
    Description: ('description' in node && node.description?.value) || '',
    Name: node.name.value,
    Directives: directives(node),
    Interfaces: 'interfaces' in node ? (node.interfaces ?? []).map(({ name }) => name.value) : [],
    Fields: 'fields' in node ? (node.fields ?? []).map(field) : [],
    Types: 'types' in node ? (node.types ?? []).map(({ name }) => name.value) : [],
    EnumValues:
      'values' in node
        ? (node.values ?? []).map(item => ({
            Description: item.description?.value ?? '',
            Name: item.name.value,
            Directives: directives(item),
          }))
        : [],
    BuiltIn: false,
  }
}

function field(node: GraphQL.FieldDefinitionNode | GraphQL.InputValueDefinitionNode): FieldDefinition {
  if (node.kind === 'InputValueDefinition') return input(node)
  return {
    Description: node.description?.value ?? '',
    Name: node.name.value,
    Arguments: (node.arguments ?? []).map(input),
    Type: type(node.type),
    Directives: directives(node),
  }
}

function input(node: GraphQL.InputValueDefinitionNode): ArgumentDefinition {
  return {
    Description: node.description?.value ?? '',
    Name: node.name.value,
    ...withDefault(node.defaultValue),
    Type: type(node.type),
    Directives: directives(node),
  }
}
