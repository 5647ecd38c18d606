/**
 * GraphQL schema: what a schema must keep to, in the eyes of the validator that OPA uses.
 *
 * It is milder than the reference: there need be no query type, and what does not exist may be extended.
 */
import { BuiltinError } from './builtin.ts'
import {
  type ArgumentDefinition,
  baseName,
  type Definition,
  type DefinitionKind,
  type Directive,
  type DirectiveDefinition,
  type SchemaDocument,
  type Type,
} from './graphql-ast.ts'

export interface Schema {
  /** By name; extensions are in them. */
  types: ReadonlyMap<string, Definition>
  directives: ReadonlyMap<string, DirectiveDefinition>
}

const SCALARS = ['Int', 'Float', 'String', 'Boolean', 'ID']
const INTROSPECTION = ['__Schema', '__Directive', '__Type', '__Field', '__InputValue', '__EnumValue']
const EXECUTABLE = ['FIELD', 'FRAGMENT_SPREAD', 'INLINE_FRAGMENT']
const BUILT_IN_DIRECTIVES: readonly (readonly [string, string[]])[] = [
  ['include', EXECUTABLE],
  ['skip', EXECUTABLE],
  ['deprecated', ['FIELD_DEFINITION', 'ARGUMENT_DEFINITION', 'INPUT_FIELD_DEFINITION', 'ENUM_VALUE']],
  ['specifiedBy', ['SCALAR']],
]

/** @throws BuiltinError when the document is no valid schema */
export function validSchema(document: SchemaDocument): Schema {
  const types = mergedTypes(document)
  const directives = allDirectives(document)
  checkRoots(document, types)
  const schema = { types, directives }
  for (const definition of types.values()) if (!definition.BuiltIn) checkDefinition(schema, definition)
  for (const directive of document.Directives ?? []) {
    checkName(directive.Name)
    checkArguments(schema, directive.Arguments, directive.Name)
  }
  return schema
}

/** What the user wrote, without what is built in: for printing. */
export function ownTypes({ types }: Schema): Definition[] {
  return [...types.values()].filter(({ BuiltIn }) => !BuiltIn)
}

function builtIn(Kind: DefinitionKind, Name: string): Definition {
  return { Kind, Name, Description: '', BuiltIn: true }
}

function mergedTypes({ Definitions = [], Extensions = [] }: SchemaDocument): Map<string, Definition> {
  const types = new Map<string, Definition>()
  for (const name of SCALARS) types.set(name, builtIn('SCALAR', name))
  for (const name of INTROSPECTION) types.set(name, builtIn('OBJECT', name))
  for (const name of ['__TypeKind', '__DirectiveLocation']) types.set(name, builtIn('ENUM', name))
  for (const definition of Definitions) {
    if (types.has(definition.Name)) throw refusal(`Cannot redeclare type ${definition.Name}.`)
    types.set(definition.Name, definition)
  }
  for (const extension of Extensions) {
    const base = types.get(extension.Name) ?? {
      Kind: extension.Kind,
      Name: extension.Name,
      Description: '',
      BuiltIn: false,
    }
    if (base.Kind !== extension.Kind) throw refusal(`Cannot extend type ${extension.Name}.`)
    types.set(extension.Name, extended(base, extension))
  }
  return types
}

function extended(base: Definition, by: Definition): Definition {
  return {
    ...base,
    Directives: [...(base.Directives ?? []), ...(by.Directives ?? [])],
    Interfaces: [...(base.Interfaces ?? []), ...(by.Interfaces ?? [])],
    Fields: [...(base.Fields ?? []), ...(by.Fields ?? [])],
    Types: [...(base.Types ?? []), ...(by.Types ?? [])],
    EnumValues: [...(base.EnumValues ?? []), ...(by.EnumValues ?? [])],
  }
}

function allDirectives({ Directives = [] }: SchemaDocument): Map<string, DirectiveDefinition> {
  const all = new Map<string, DirectiveDefinition>()
  const own = new Set<string>()
  for (const [Name, Locations] of BUILT_IN_DIRECTIVES)
    all.set(Name, { Name, Locations, Description: '', IsRepeatable: false })
  for (const directive of Directives) {
    const replaces = all.has(directive.Name) && !own.has(directive.Name)
    if (own.has(directive.Name) && !BUILT_IN_DIRECTIVES.some(([name]) => name === directive.Name)) {
      throw refusal(`Cannot redeclare directive ${directive.Name}.`)
    }
    own.add(directive.Name)
    if (!all.has(directive.Name) || replaces) all.set(directive.Name, directive)
  }
  return all
}

function checkRoots(
  { Schema = [], SchemaExtension = [] }: SchemaDocument,
  types: ReadonlyMap<string, Definition>,
): void {
  if (Schema.length > 1) throw refusal('Cannot have multiple schema entry points.')
  for (const { OperationTypes = [] } of [...Schema, ...SchemaExtension]) {
    for (const { Type } of OperationTypes)
      if (!types.has(Type)) throw refusal(`Schema root refers to a type ${Type} that does not exist.`)
  }
}

const FIELD_KINDS: readonly DefinitionKind[] = ['SCALAR', 'OBJECT', 'INTERFACE', 'UNION', 'ENUM']
const INPUT_KINDS: readonly DefinitionKind[] = ['SCALAR', 'ENUM', 'INPUT_OBJECT']

function checkDefinition(schema: Schema, definition: Definition): void {
  const { Kind, Name, Fields = [], Types = [], Interfaces = [], EnumValues = [], Directives } = definition
  checkName(Name)
  const isInput = Kind === 'INPUT_OBJECT'
  for (const field of Fields) {
    checkName(field.Name)
    const kind = kindOf(schema, field.Type)
    if (!(isInput ? INPUT_KINDS : FIELD_KINDS).includes(kind))
      throw refusal(`${Name}.${field.Name} cannot be of type ${kind}.`)
    checkArguments(schema, field.Arguments)
    checkDirectives(schema, field.Directives, isInput ? 'INPUT_FIELD_DEFINITION' : 'FIELD_DEFINITION')
  }
  for (const member of Types)
    if (schema.types.get(member)?.Kind !== 'OBJECT') throw refusal(`UNION type ${member} must be OBJECT.`)
  for (const name of Interfaces) checkImplements(schema, definition, name)
  const members = Kind === 'ENUM' ? EnumValues : Kind === 'SCALAR' || Kind === 'UNION' ? undefined : Fields
  if (members?.length === 0) throw refusal(`${Kind} ${Name}: must define one or more members.`)
  if (EnumValues.some(item => ['true', 'false', 'null'].includes(item.Name)))
    throw refusal(`ENUM ${Name}: non-enum value.`)
  if (new Set(Fields.map(field => field.Name)).size < Fields.length)
    throw refusal(`A field of ${Name} is defined twice.`)
  checkDirectives(schema, Directives, Kind)
}

function checkArguments(schema: Schema, all: readonly ArgumentDefinition[] = [], within?: string): void {
  for (const one of all) {
    checkName(one.Name)
    if (!INPUT_KINDS.includes(kindOf(schema, one.Type)))
      throw refusal(`Argument ${one.Name} is not of an input type.`)
    checkDirectives(schema, one.Directives, 'ARGUMENT_DEFINITION', within)
  }
}

/** @param within - The directive that is being defined, which cannot refer to itself. */
function checkDirectives(
  schema: Schema,
  all: readonly Directive[] = [],
  location: string,
  within?: string,
): void {
  for (const { Name } of all) {
    checkName(Name)
    if (Name === within) throw refusal(`Directive ${Name} cannot refer to itself.`)
    const definition = schema.directives.get(Name)
    if (!definition) throw refusal(`Undefined directive ${Name}.`)
    if (!definition.Locations?.includes(location))
      throw refusal(`Directive ${Name} is not applicable on ${location}.`)
  }
}

function checkImplements(schema: Schema, definition: Definition, name: string): void {
  const implemented = schema.types.get(name)
  if (implemented?.Kind !== 'INTERFACE') throw refusal(`${name} is no interface.`)
  for (const required of implemented.Fields ?? []) {
    const own = definition.Fields?.find(field => field.Name === required.Name)
    if (!own || !covers(schema, required.Type, own.Type))
      throw refusal(`${definition.Name} does not implement ${name}.${required.Name}.`)
    for (const argument of required.Arguments ?? []) {
      const given = own.Arguments?.find(one => one.Name === argument.Name)
      if (!given || !sameType(argument.Type, given.Type))
        throw refusal(`${definition.Name}.${required.Name} lacks ${argument.Name}.`)
    }
    const more = (own.Arguments ?? []).filter(
      one => !required.Arguments?.some(argument => argument.Name === one.Name),
    )
    if (more.some(one => one.Type.NonNull && !one.DefaultValue))
      throw refusal(`${definition.Name}.${own.Name} requires more.`)
  }
  for (const above of implemented.Interfaces ?? []) {
    if (!definition.Interfaces?.includes(above))
      throw refusal(`Type ${definition.Name} must implement ${above}.`)
  }
}

/** Whether the actual type is the required one or narrower. */
function covers(schema: Schema, required: Type, actual: Type): boolean {
  if (required.NonNull && !actual.NonNull) return false
  if (required.Elem) return actual.Elem !== undefined && covers(schema, required.Elem, actual.Elem)
  return required.NamedType === actual.NamedType || isPossible(schema, required.NamedType, actual.NamedType)
}

function isPossible({ types }: Schema, abstract: string, name: string): boolean {
  return (
    (types.get(abstract)?.Types?.includes(name) || types.get(name)?.Interfaces?.includes(abstract)) ?? false
  )
}

function sameType(a: Type, b: Type): boolean {
  if (a.NamedType !== b.NamedType || Boolean(a.Elem) !== Boolean(b.Elem)) return false
  if (a.Elem && b.Elem && !sameType(a.Elem, b.Elem)) return false
  return !b.NonNull || a.NonNull
}

function kindOf({ types }: Schema, type: Type): DefinitionKind {
  const definition = types.get(baseName(type))
  if (!definition) throw refusal(`Undefined type ${baseName(type)}.`)
  return definition.Kind
}

function checkName(name: string): void {
  if (name.startsWith('__')) throw refusal(`Name "${name}" must not begin with "__".`)
}

function refusal(message: string): BuiltinError {
  return new BuiltinError(message)
}
