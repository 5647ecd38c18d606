/** A JSON Schema as a table in Markdown: a row for each value, by its path. */

interface Schema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly $ref?: string
  readonly definitions?: Readonly<Record<string, Schema>>
  readonly $defs?: Readonly<Record<string, Schema>>
}

interface Row {
  readonly path: string
  readonly type: string
  readonly fallback: string
  readonly text: string
}

/** @returns Rows for all that a schema describes below its root. */
export function tableOf(schema: object): string {
  const root = schema as Schema
  const rows = childrenOf(root, '', root, 0)
  const lines = rows.map(
    ({ path, type, fallback, text }) => `| \`${path}\` | ${type} | ${fallback} | ${text} |`,
  )
  return ['| key | type | default | |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

/** Schemas may refer to themselves. */
const DEEPEST = 8

function childrenOf(schema: Schema, at: string, root: Schema, depth: number): Row[] {
  if (depth > DEEPEST) return []
  const here = resolved(schema, root)
  const rows: Row[] = []
  const join = (key: string): string => (at === '' ? key : `${at}.${key}`)
  for (const [key, child] of Object.entries(here.properties ?? {}))
    rows.push(...rowsOf(child, join(key), root, depth, here.required?.includes(key) ?? false))
  const more = [...Object.values(here.patternProperties ?? {})]
  if (typeof here.additionalProperties === 'object') more.push(here.additionalProperties)
  for (const child of more) rows.push(...rowsOf(child, join('NAME'), root, depth, false))
  if (here.items) rows.push(...childrenOf(here.items, `${at}[]`, root, depth + 1))
  for (const branch of [...(here.anyOf ?? []), ...(here.oneOf ?? []), ...(here.allOf ?? [])])
    rows.push(...childrenOf(branch, at, root, depth + 1))
  return rows.filter((row, index) => rows.findIndex(other => other.path === row.path) === index)
}

function rowsOf(schema: Schema, path: string, root: Schema, depth: number, required: boolean): Row[] {
  const here = resolved(schema, root)
  const text = [here.description ?? schema.description ?? '', required ? 'Required.' : '']
    .filter(Boolean)
    .join('. ')
  const row = { path, type: typeOf(here, root), fallback: code(here.default), text: escaped(text) }
  return [row, ...childrenOf(here, path, root, depth + 1)]
}

function resolved(schema: Schema, root: Schema): Schema {
  const name = /^#\/(?:definitions|\$defs)\/(.+)$/.exec(schema.$ref ?? '')?.[1]
  return (name && (root.definitions?.[name] ?? root.$defs?.[name])) || schema
}

function typeOf(schema: Schema, root: Schema): string {
  if (schema.const !== undefined) return code(schema.const)
  if (schema.enum) return schema.enum.map(code).join(', ')
  const branches = schema.anyOf ?? schema.oneOf
  if (branches) return [...new Set(branches.map(branch => typeOf(resolved(branch, root), root)))].join(' or ')
  if (schema.type === 'array')
    return `list of ${schema.items ? typeOf(resolved(schema.items, root), root) : 'any'}`
  return [schema.type ?? 'any'].flat().join(' or ')
}

function code(value: unknown): string {
  if (value === undefined) return ''
  const text = JSON.stringify(value)
  return text === '{}' || text === '[]' ? '' : `\`${escaped(text)}\``
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
