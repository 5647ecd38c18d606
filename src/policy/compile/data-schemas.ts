/**
 * Schemas of data: a `data.schema.json` beside a `data.json` or `data.yaml` says what may be in it. The data
 * is held against it, and so is what the rules read of it: a role that no table has is found before it ships.
 */

import path from 'node:path'
import type { FindingCode } from '../../contract/finding-meanings.ts'
import type { Finding } from '../../contract/findings.ts'
import { compileForeignSchema, type SchemaProblem, type Validate } from '../../contract/schema.ts'
import { type PlacedYaml, readPlacedYaml } from '../builtins/yaml.ts'
import { pathOf, showPath } from '../paths.ts'
import { DATA_SCHEMA, type Snapshot, type SourceFile } from './source.ts'

export interface DataSchema {
  /** The folder that the data is mounted by, such as `gateway/tables`; empty for the root. */
  readonly mount: string
  readonly file: SourceFile
}

const DATA_NAMES = ['data.json', 'data.yaml', 'data.yml']

export function dataSchemasOf({ files }: Snapshot): DataSchema[] {
  return files
    .filter(({ name }) => path.posix.basename(name) === DATA_SCHEMA)
    .map(file => ({ mount: path.posix.dirname(file.name).replace(/^\.$/, ''), file }))
}

/** @param show - How a file is named in findings. */
export function dataFindings(snapshot: Snapshot, show: (name: string) => string): Finding[] {
  return dataSchemasOf(snapshot).flatMap(({ mount, file }) => {
    const schema = readSchema(file)
    if ('problem' in schema) return [finding(show(file.name), 'data_schema_invalid', schema.problem)]
    const names = DATA_NAMES.map(name => path.posix.join(mount, name))
    return snapshot.files
      .filter(({ name }) => names.includes(name))
      .flatMap(data => findingsIn(data, schema.validate, show(data.name)))
  })
}

/**
 * A module without rules that tells OPA's type checker which schema is whose, for all packages below a root.
 *
 * @returns Its text; the schemas are named `input`, and `data` with their number.
 */
export function schemaAnnotations(schemas: readonly DataSchema[], root: string): string {
  const lines = schemas.flatMap(({ mount }, index) => {
    const ref = mount.split('/').filter(Boolean)
    return ref.every(part => /^[A-Za-z_][A-Za-z0-9_]*$/.test(part))
      ? [`#   - ${['data', ...ref].join('.')}: schema.data${index}`]
      : []
  })
  return `# METADATA
# scope: subpackages
# schemas:
#   - input: schema.input
${lines.join('\n')}
package ${root}
`
}

/** The first parts of all packages. */
export function rootsOf({ files }: Snapshot): string[] {
  const packages = files.map(({ name, bytes }) =>
    name.endsWith('.rego')
      ? /^package\s+([A-Za-z_][A-Za-z0-9_]*)/m.exec(bytes.toString('utf8'))?.[1]
      : undefined,
  )
  return [...new Set(packages.filter(root => root !== undefined))]
}

function readSchema({ bytes }: SourceFile): { validate: Validate } | { problem: string } {
  try {
    return { validate: compileForeignSchema(JSON.parse(bytes.toString('utf8')) as object, { all: true }) }
  } catch (error) {
    return { problem: `not a JSON Schema: ${(error as Error).message}` }
  }
}

function findingsIn(data: SourceFile, validate: Validate, shown: string): Finding[] {
  const yaml = readPlacedYaml(data.bytes.toString('utf8'))
  // What is not even YAML is OPA's to tell.
  if (yaml.problems.length > 0) return []
  return validate(yaml.value).map(problem => explain(problem, yaml, shown))
}

function explain(problem: SchemaProblem, yaml: PlacedYaml, shown: string): Finding {
  const at = pathOf(problem.pointer, yaml.value)
  if (problem.keyword === 'additionalProperties') {
    const key = String(problem.params.additionalProperty)
    const known = Object.keys((problem.schema.properties ?? {}) as object)
    const place = yaml.place([...at, key], 'key')
    const unknown = finding(shown, 'data_unknown_key', `${showPath([...at, key])}: unknown key`, place)
    return known.length > 0 ? { ...unknown, hint: `known keys: ${known.join(', ')}` } : unknown
  }
  return finding(shown, 'data_invalid', `${showPath(at)}: ${problem.message}`, yaml.place(at))
}

function finding(
  file: string,
  code: FindingCode,
  message: string,
  { line, column }: { line: number; column: number } = { line: 0, column: 0 },
): Finding {
  return { severity: 'error', code, message, file, line, column }
}
