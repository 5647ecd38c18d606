/**
 * Scenario files: YAML → schema → scenarios that know where they stand, or findings.
 */
import type { FindingCode } from '../../contract/finding-meanings.ts'
import type { Finding } from '../../contract/findings.ts'
import { type Scenario, scenarioSchema } from '../../contract/scenario.schema.ts'
import { compileSchema, type SchemaProblem } from '../../contract/schema.ts'
import { type Place, type PlacedYaml, readPlacedYaml } from '../builtins/yaml.ts'
import { type Path, pathOf, showPath } from '../paths.ts'

export interface ScenarioFile {
  /** As people write it. */
  readonly file: string
  readonly scenario: Scenario
  place(path: Path, part?: 'value' | 'key'): Place
}

export interface ReadScenarios {
  readonly scenarios: readonly ScenarioFile[]
  readonly findings: readonly Finding[]
}

const validate = compileSchema(scenarioSchema, { all: true })

export function readScenarios(
  files: readonly { readonly shown: string; readonly text: string }[],
): ReadScenarios {
  const scenarios: ScenarioFile[] = []
  const findings: Finding[] = []
  for (const { shown, text } of files) {
    const yaml = readPlacedYaml(text)
    const problems = problemsOf(yaml, shown)
    findings.push(...problems)
    if (problems.length === 0)
      scenarios.push({ file: shown, scenario: yaml.value as Scenario, place: yaml.place })
  }
  return { scenarios, findings }
}

function problemsOf(yaml: PlacedYaml, file: string): Finding[] {
  if (yaml.problems.length > 0)
    return yaml.problems.map(({ message, line, column }) =>
      scenarioFinding(file, 'scenario_syntax', `not YAML: ${message}`, { line, column }),
    )
  const problems = validate(yaml.value)
  return problems.filter(problem => !isBranch(problem, problems)).map(problem => explain(problem, yaml, file))
}

/** The branches of an `anyOf` are told as one, by the branch that a person meant: a document, not a name. */
function isBranch(problem: SchemaProblem, all: readonly SchemaProblem[]): boolean {
  const { pointer, keyword } = problem
  const deeper = (other: SchemaProblem): boolean => other.pointer.startsWith(`${pointer}/`)
  const document = (other: SchemaProblem): boolean =>
    other.pointer === pointer && other.keyword === 'additionalProperties'
  if (keyword === 'anyOf') return all.some(other => deeper(other) || document(other))
  const composed = all.some(other => other.keyword === 'anyOf' && other.pointer === pointer)
  return composed && (keyword === 'type' || keyword === 'required' || keyword === 'format')
}

function explain(problem: SchemaProblem, yaml: PlacedYaml, file: string): Finding {
  const at = pathOf(problem.pointer, yaml.value)
  const shown = showPath(at)
  if (problem.keyword === 'additionalProperties') {
    const key = String(problem.params.additionalProperty)
    const known = Object.keys((problem.schema.properties ?? {}) as object)
    return {
      ...scenarioFinding(
        file,
        'scenario_unknown_key',
        `${showPath([...at, key])}: unknown key`,
        yaml.place([...at, key], 'key'),
      ),
      hint: `known keys: ${known.join(', ')}`,
    }
  }
  return scenarioFinding(
    file,
    'scenario_invalid',
    `${shown}: expected ${expectation(problem)}`,
    yaml.place(at),
  )
}

function expectation({ keyword, params, schema, message }: SchemaProblem): string {
  if (keyword === 'required') return `the key ${JSON.stringify(params.missingProperty)}`
  if (keyword === 'format') return 'an instant such as "2026-03-02T12:00:00+01:00"'
  if (keyword === 'type') return String(params.type)
  if (keyword === 'anyOf' && schema.title !== undefined) return 'the key "cases" or the key "matrix"'
  if (keyword === 'anyOf') return String(schema.description ?? message)
  return message.replace(/^must (be )?/, '')
}

/** @param part - Where no place is known, the whole file is meant. */
export function scenarioFinding(file: string, code: FindingCode, message: string, place: Place): Finding {
  return { severity: 'error', code, message, file, line: place.line, column: place.column }
}
