/**
 * GraphQL AST: documents as OPA shows them, in the words of the parser it uses: `Definitions`, `NamedType`.
 *
 * What is empty is left out when a document is shown, and so may be missing when one is handed in.
 */

export interface QueryDocument {
  Operations?: Operation[]
  Fragments?: Fragment[]
}

export interface Operation {
  Operation: 'query' | 'mutation' | 'subscription'
  Name: string
  VariableDefinitions?: Variable[]
  Directives?: Directive[]
  SelectionSet?: Selection[]
}

export interface Fragment {
  Name: string
  VariableDefinition?: Variable[]
  TypeCondition: string
  Directives?: Directive[]
  SelectionSet?: Selection[]
}

export interface Variable {
  Variable: string
  Type: Type
  DefaultValue?: Value
  Directives?: Directive[]
  Used: boolean
}

export interface Field {
  Alias: string
  Name: string
  Arguments?: Argument[]
  Directives?: Directive[]
  SelectionSet?: Selection[]
}

export interface Spread {
  Name: string
  Directives?: Directive[]
}

export interface Inline {
  TypeCondition: string
  Directives?: Directive[]
  SelectionSet?: Selection[]
}

/** A field has an alias, an inline fragment a type condition, a spread only a name. */
export type Selection = Field | Spread | Inline

export interface Directive {
  Name: string
  Arguments?: Argument[]
  Location: string
}

export interface Argument {
  Name: string
  Value: Value
}

/** `Kind` is one of KIND; lists and objects have children, whose names are empty in a list. */
export interface Value {
  Raw: string
  Kind: number
  /** The parser's own note; always false. */
  ExpectedTypeHasDefault: boolean
  Children?: { Name: string; Value: Value }[]
}

export const KIND = {
  variable: 0,
  int: 1,
  float: 2,
  string: 3,
  block: 4,
  boolean: 5,
  null: 6,
  enum: 7,
  list: 8,
  object: 9,
} as const

/** A named type, or a list of `Elem`. */
export interface Type {
  NamedType: string
  Elem?: Type
  NonNull: boolean
}

export interface SchemaDocument {
  Schema?: SchemaDefinition[]
  SchemaExtension?: SchemaDefinition[]
  Directives?: DirectiveDefinition[]
  Definitions?: Definition[]
  Extensions?: Definition[]
}

export interface SchemaDefinition {
  Description: string
  Directives?: Directive[]
  OperationTypes?: { Operation: string; Type: string }[]
}

export interface DirectiveDefinition {
  Description: string
  Name: string
  Arguments?: ArgumentDefinition[]
  Locations?: string[]
  IsRepeatable: boolean
}

export interface ArgumentDefinition {
  Description: string
  Name: string
  DefaultValue?: Value
  Type: Type
  Directives?: Directive[]
}

/** A field of a type; of an input object with a default value and no arguments. */
export interface FieldDefinition extends ArgumentDefinition {
  Arguments?: ArgumentDefinition[]
}

export type DefinitionKind = 'SCALAR' | 'OBJECT' | 'INTERFACE' | 'UNION' | 'ENUM' | 'INPUT_OBJECT'

export interface Definition {
  Kind: DefinitionKind
  Description: string
  Name: string
  Directives?: Directive[]
  Interfaces?: string[]
  Fields?: FieldDefinition[]
  /** Of a union. */
  Types?: string[]
  EnumValues?: { Description: string; Name: string; Directives?: Directive[] }[]
  BuiltIn: boolean
}

/** The type that is left when lists are taken off. */
export function baseName(type: Type): string {
  return type.Elem ? baseName(type.Elem) : type.NamedType
}
