/** GraphQL print: documents as text again, for those that were handed in as objects. */
import {
  type Argument,
  type ArgumentDefinition,
  type Definition,
  type Directive,
  type DirectiveDefinition,
  type Field,
  type Inline,
  KIND,
  type QueryDocument,
  type SchemaDefinition,
  type Selection,
  type Type,
  type Value,
  type Variable,
} from './graphql-ast.ts'

export function printQuery({ Operations = [], Fragments = [] }: QueryDocument): string {
  const operations = Operations.map(
    one =>
      `${one.Operation} ${one.Name}${variables(one.VariableDefinitions)}${directives(one.Directives)}${selections(one.SelectionSet)}`,
  )
  const fragments = Fragments.map(
    one =>
      `fragment ${one.Name}${variables(one.VariableDefinition)} on ${one.TypeCondition}` +
      `${directives(one.Directives)}${selections(one.SelectionSet)}`,
  )
  return [...operations, ...fragments].join('\n')
}

/** @param schemas - The definition of the schema, if any, and its extensions, which are taken for one. */
export function printSchema(
  schemas: readonly SchemaDefinition[],
  directiveDefinitions: readonly DirectiveDefinition[],
  definitions: readonly Definition[],
): string {
  const roots = schemas.flatMap(({ OperationTypes = [] }) => OperationTypes)
  const schema =
    roots.length === 0 ? '' : `schema ${block(roots.map(root => `${root.Operation}: ${root.Type}`))}`
  const directiveTexts = directiveDefinitions.map(
    one =>
      `directive @${one.Name}${inputs(one.Arguments)}${one.IsRepeatable ? ' repeatable' : ''}` +
      ` on ${(one.Locations ?? []).join(' | ')}`,
  )
  return [schema, ...directiveTexts, ...definitions.map(definition)].join('\n')
}

const KEYWORDS: Record<Definition['Kind'], string> = {
  SCALAR: 'scalar',
  OBJECT: 'type',
  INTERFACE: 'interface',
  UNION: 'union',
  ENUM: 'enum',
  INPUT_OBJECT: 'input',
}

function definition(one: Definition): string {
  const { Interfaces = [], Fields = [], Types = [], EnumValues = [] } = one
  const head = `${KEYWORDS[one.Kind]} ${one.Name}`
  const interfaces = Interfaces.length === 0 ? '' : ` implements ${Interfaces.join(' & ')}`
  const types = Types.length === 0 ? '' : ` = ${Types.join(' | ')}`
  const members = [
    ...Fields.map(field => `${field.Name}${inputs(field.Arguments)}${typed(field)}`),
    ...EnumValues.map(item => item.Name + directives(item.Directives)),
  ]
  return `${head}${interfaces}${directives(one.Directives)}${types}${members.length === 0 ? '' : block(members)}`
}

function inputs(all: readonly ArgumentDefinition[] = []): string {
  return all.length === 0 ? '' : `(${all.map(one => one.Name + typed(one)).join(', ')})`
}

function typed(one: ArgumentDefinition): string {
  return `: ${type(one.Type)}${one.DefaultValue ? ` = ${value(one.DefaultValue)}` : ''}${directives(one.Directives)}`
}

function variables(all: readonly Variable[] = []): string {
  const texts = all.map(
    one =>
      `$${one.Variable}: ${type(one.Type)}${one.DefaultValue ? ` = ${value(one.DefaultValue)}` : ''}${directives(one.Directives)}`,
  )
  return texts.length === 0 ? '' : `(${texts.join(', ')})`
}

function selections(all: readonly Selection[] = []): string {
  return all.length === 0 ? '' : block(all.map(selection))
}

function selection(one: Selection): string {
  if ('Alias' in one) return aliased(one)
  if ('Name' in one) return `... ${one.Name}${directives(one.Directives)}`
  return inline(one)
}

function aliased({ Alias, Name, Arguments = [], Directives, SelectionSet }: Field): string {
  return `${Alias}: ${Name}${callArguments(Arguments)}${directives(Directives)}${selections(SelectionSet)}`
}

function inline({ TypeCondition, Directives, SelectionSet }: Inline): string {
  return `...${TypeCondition === '' ? '' : ` on ${TypeCondition}`}${directives(Directives)}${selections(SelectionSet)}`
}

function directives(all: readonly Directive[] = []): string {
  return all.map(one => ` @${one.Name}${callArguments(one.Arguments)}`).join('')
}

function callArguments(all: readonly Argument[] = []): string {
  return all.length === 0 ? '' : `(${all.map(one => `${one.Name}: ${value(one.Value)}`).join(', ')})`
}

function value({ Kind, Raw, Children = [] }: Value): string {
  if (Kind === KIND.variable) return `$${Raw}`
  if (Kind === KIND.string || Kind === KIND.block) return JSON.stringify(Raw)
  if (Kind === KIND.list) return `[${Children.map(child => value(child.Value)).join(', ')}]`
  if (Kind === KIND.object)
    return `{${Children.map(child => `${child.Name}: ${value(child.Value)}`).join(', ')}}`
  return Raw
}

function type({ NamedType, Elem, NonNull }: Type): string {
  return (Elem ? `[${type(Elem)}]` : NamedType) + (NonNull ? '!' : '')
}

function block(lines: readonly string[]): string {
  return ` {\n${lines.join('\n')}\n}`
}
