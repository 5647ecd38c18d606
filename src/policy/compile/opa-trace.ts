/**
 * Why a unit test failed, from the trace of `opa test -v --explain fails --format json`: the expression of
 * the test that did not hold, and those below it that did not.
 */
import type { OpaOutput } from './opa-command.ts'
import type { ShowFile } from './opa-output.ts'

interface Event {
  readonly Op: string
  readonly Location?: { readonly file: string; readonly row: number }
  readonly Locals?: readonly (RawTerm & { readonly name: string })[] | null
  readonly LocalMetadata?: Readonly<Record<string, { readonly name: string }>>
}

interface RawTerm {
  readonly type: string
  readonly value: unknown
}

interface TracedResult {
  readonly package: string
  readonly name: string
  readonly fail?: boolean
  readonly trace?: readonly Event[] | null
  /** What it printed, base64. */
  readonly output?: string
}

const MOST_SHOWN = 4
const MOST_CHARACTERS = 160

/** @returns By the name of the test. @param lineOf - A line of the sources, from 1. */
export function explanationsIn(
  { stdout }: OpaOutput,
  show: ShowFile,
  lineOf: (file: string, row: number) => string,
): Map<string, string> {
  const explanations = new Map<string, string>()
  for (const { package: of, name, fail, trace, output } of readResults(stdout)) {
    if (!fail) continue
    const fails = failsIn(trace ?? []).map(event => told(event, show, lineOf))
    const printed = output ? Buffer.from(output, 'base64').toString().trimEnd() : ''
    const lines = [...fails, ...(printed ? [`printed: ${printed}`] : [])]
    if (lines.length > 0) explanations.set(`${of}.${name}`, lines.join('\n'))
  }
  return explanations
}

function readResults(text: string): readonly TracedResult[] {
  try {
    return (JSON.parse(text) as TracedResult[] | null) ?? []
  } catch {
    return []
  }
}

/** From the test inwards: the last to fail is the test's own expression. Each line once. */
function failsIn(trace: readonly Event[]): Event[] {
  const fails = trace.filter(
    ({ Op, Location }) => Op === 'Fail' && Location !== undefined && Location.file !== '',
  )
  const byPlace = new Map(fails.map(event => [`${event.Location?.file}:${event.Location?.row}`, event]))
  return [...byPlace.values()].reverse().slice(0, MOST_SHOWN)
}

function told(
  { Location, Locals, LocalMetadata }: Event,
  show: ShowFile,
  lineOf: (file: string, row: number) => string,
): string {
  const { file, row } = Location as { file: string; row: number }
  const line = lineOf(file, row).trim()
  const values = (Locals ?? []).flatMap(({ name, ...term }) => {
    const own = LocalMetadata?.[name]?.name ?? name
    const named = !own.startsWith('__local') && new RegExp(`\\b${own}\\b`).test(line)
    return named ? [`${own} = ${written(term)}`] : []
  })
  return `${show(file)}:${row}: ${line}${values.length > 0 ? `   (${values.join(', ')})` : ''}`
}

function written(term: RawTerm): string {
  const text = termText(term)
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}

function termText({ type, value }: RawTerm): string {
  switch (type) {
    case 'string':
    case 'number':
    case 'boolean':
      return JSON.stringify(value)
    case 'array':
      return `[${(value as RawTerm[]).map(termText).join(', ')}]`
    case 'set':
      return `{${(value as RawTerm[]).map(termText).join(', ')}}`
    case 'object':
      return `{${(value as [RawTerm, RawTerm][]).map(([key, member]) => `${termText(key)}: ${termText(member)}`).join(', ')}}`
    default:
      return type
  }
}
