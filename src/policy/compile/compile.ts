/**
 * Compile: a snapshot of sources → a bundle, or findings that say file, line and column.
 *
 * `opa` checks types against the published input schema, refuses builtins that are not offered,
 * runs the policy's tests, and compiles to WASM.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Finding } from '../../contract/findings.ts'
import { inputSchema } from '../../contract/input.schema.ts'
import { capabilities } from '../builtins/capabilities.ts'
import { type Bundle, readBundle } from '../bundles/bundle.ts'
import { readTar } from '../bundles/tar.ts'
import { FURTHER_ENTRYPOINTS, FURTHER_INPUTS, FURTHER_PACKAGES, FURTHER_WORDS } from '../questions.ts'
import type { ReadPaths } from '../reads.ts'
import { dataFindings, dataSchemasOf, rootsOf, schemaAnnotations } from './data-schemas.ts'
import type { OpaCommand, OpaOutput } from './opa-command.ts'
import { type Coverage, coverageIn, findingsIn, resultsIn, type TestResult } from './opa-output.ts'
import { explanationsIn } from './opa-trace.ts'
import { pathsInPlan } from './plan-reads.ts'
import { DATA_SCHEMA, isTest, type Snapshot, writeSnapshot } from './source.ts'
import { defines, type Module, readModule } from './syntax.ts'

export interface Workshop {
  /** Findings of the parser, the compiler and the type checker. `strict` adds OPA's strict mode. */
  check(options?: { strict?: boolean }): Promise<Finding[]>
  test(options?: { run?: string; coverage?: boolean }): Promise<TestRun>
  /** Why some tests fail, by their names. */
  explain(names: readonly string[]): Promise<Map<string, string>>
  /** The syntax of some files, by name; a file that cannot be parsed is left out. */
  parse(names: readonly string[]): Promise<Module[]>
  /** What the gateway asks: the decision, and those of the further questions that the policy answers. */
  buildPolicy(entrypoint: string): Promise<Built>
  /** @param options - `tests`: the rules of tests too; they are left out otherwise. */
  build(entrypoint: string | readonly string[], options?: { tests?: boolean }): Promise<Built>
  /** Which parts of the input the entrypoint looks at; undefined where that cannot be told. */
  reads(entrypoint: string): Promise<ReadPaths | undefined>
  /** OPA's own account of one decision, at an instant: `opa eval --explain=full`. */
  trace(entrypoint: string, inputText: string, nowNs: bigint): Promise<OpaOutput>
  close(): void
}

export interface Built {
  readonly bundle: Bundle | undefined
  readonly findings: readonly Finding[]
}

export interface TestRun {
  readonly results: readonly TestResult[]
  readonly findings: readonly Finding[]
  /** Of lines, per cent; only when asked for. */
  readonly coverage?: Coverage
}

/**
 * A folder of its own in which one snapshot is worked on.
 *
 * @param shown - What stands before the names of files in findings.
 */
export async function openWorkshop(snapshot: Snapshot, opa: OpaCommand, shown: string): Promise<Workshop> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-policy-'))
  const sources = path.join(folder, 'sources')
  const schemaFile = path.join(folder, 'input.schema.json')
  const capabilitiesFile = path.join(folder, 'capabilities.json')
  mkdirSync(sources)
  writeSnapshot(snapshot, sources)
  writeFileSync(schemaFile, JSON.stringify(CHECKED_INPUT))
  writeFileSync(capabilitiesFile, await offered(opa))

  const run = (args: readonly string[]): Promise<OpaOutput> =>
    opa.run([...args, '--v1-compatible'], { cwd: sources })
  const show = (name: string): string => path.join(shown, name)

  async function build(
    entrypoint: string | readonly string[],
    { tests = false }: { tests?: boolean } = {},
  ): Promise<Built> {
    const archive = path.join(folder, tests ? 'tests.tar.gz' : 'bundle.tar.gz')
    const entrypoints = [entrypoint].flat().flatMap(name => ['-e', name])
    const flags = [
      '--capabilities',
      capabilitiesFile,
      ...(tests ? [] : ['--ignore', '*_test.rego']),
      '--prune-unused',
      '-o',
      archive,
    ]
    const output = await run(['build', '-t', 'wasm', ...entrypoints, '-b', '.', ...flags])
    if (output.status !== 0) return { bundle: undefined, findings: findingsIn(output, show) }
    return { bundle: await readBundle(readFileSync(archive)), findings: [] }
  }

  const parse = (names: readonly string[]): Promise<Module[]> =>
    mapSome(names, PARSERS, name => parsed(name, snapshot, run))

  /** One schema of the input for all rules; with schemas of data, each by its name, as OPA wants it then. */
  function schemaFlags(): string[] {
    const schemas = dataSchemasOf(snapshot)
    if (schemas.length === 0) return ['--schema', schemaFile]
    const named = path.join(folder, 'schemas')
    const annotated = path.join(folder, 'annotated')
    mkdirSync(named, { recursive: true })
    mkdirSync(annotated, { recursive: true })
    writeFileSync(path.join(named, 'input.json'), JSON.stringify(CHECKED_INPUT))
    for (const [index, { file }] of schemas.entries())
      writeFileSync(path.join(named, `data${index}.json`), file.bytes)
    for (const root of rootsOf(snapshot))
      writeFileSync(path.join(annotated, `${root}.rego`), schemaAnnotations(schemas, root))
    return ['-b', annotated, '--schema', named]
  }

  /** Only files that could define a question are parsed. */
  async function answered(): Promise<readonly string[]> {
    const names = snapshot.files
      .filter(({ name, bytes }) => {
        if (!name.endsWith('.rego') || isTest(name)) return false
        const text = bytes.toString('utf8')
        return FURTHER_PACKAGES.test(text) && FURTHER_WORDS.test(text)
      })
      .map(({ name }) => name)
    const modules = await parse(names)
    return FURTHER_ENTRYPOINTS.filter(entrypoint => modules.some(module => defines(module, entrypoint)))
  }

  return {
    async check({ strict = false } = {}) {
      const found = dataFindings(snapshot, show)
      if (found.length > 0) return found
      const flags = [
        ...schemaFlags(),
        '--capabilities',
        capabilitiesFile,
        '--format',
        'json',
        ...(strict ? ['--strict'] : []),
      ]
      const output = await run(['check', '-b', '.', ...flags])
      return output.status === 0 ? [] : findingsIn(output, show)
    },
    async test({ run: pattern, coverage = false } = {}) {
      const flags = ['--format', 'json', ...(pattern ? ['--run', pattern] : [])]
      const output = await run(['test', '-b', '.', ...flags])
      const results = resultsIn(output, show)
      if (!results) return { results: [], findings: findingsIn(output, show) }
      if (!coverage) return { results, findings: [] }
      // Not as a bundle: of one, OPA 0.70 tells no line that was not reached, and so always 100 %.
      const covered = await run([
        'test',
        '.',
        '--ignore',
        '*.scenario.yaml',
        '--ignore',
        DATA_SCHEMA,
        '--coverage',
        ...flags,
      ])
      return { results, findings: [], coverage: coverageIn(covered, show) }
    },
    async explain(names) {
      const flags = ['-v', '--explain', 'fails', '--format', 'json', '--run', testPattern(names)]
      const lineOf = (name: string, row: number): string => linesOf(snapshot, name)[row - 1] ?? ''
      return explanationsIn(await run(['test', '-b', '.', ...flags]), show, lineOf)
    },
    parse,
    build,
    buildPolicy: async entrypoint => build([...new Set([entrypoint, ...(await answered())])]),
    async reads(entrypoint) {
      const archive = path.join(folder, 'plan.tar.gz')
      const flags = ['--ignore', '*_test.rego', '--prune-unused', '-o', archive]
      const { status } = await run(['build', '-t', 'plan', '-e', entrypoint, '-b', '.', ...flags])
      const plan = status === 0 ? readTar(gunzipSync(readFileSync(archive))) : []
      const text = plan.find(({ name }) => name === 'plan.json')?.bytes
      return text && pathsInPlan(new TextDecoder().decode(text))
    },
    async trace(entrypoint, inputText, nowNs) {
      const question = { rule: entrypoint.split('/'), inputText, nowNs }
      const traced = await run(traceArgs(question, folder))
      // OPA cannot write a trace in which a number is as `to_number("08")` leaves it.
      return traced.stdout.startsWith('{') ? traced : run(traceArgs(question, folder, { plainNumbers: true }))
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const CHECKED_INPUT = {
  ...inputSchema,
  properties: {
    ...inputSchema.properties,
    ...Object.fromEntries(FURTHER_INPUTS.map(name => [name, {}])),
  },
}

interface TraceQuestion {
  readonly rule: readonly string[]
  readonly inputText: string
  readonly nowNs: bigint
}

function traceArgs(
  { rule, inputText, nowNs }: TraceQuestion,
  folder: string,
  { plainNumbers = false } = {},
): string[] {
  const inputFile = path.join(folder, 'input.json')
  const helper = path.join(folder, 'trace.rego')
  writeFileSync(inputFile, inputText)
  writeFileSync(helper, TRACE_HELPER)
  // Rules that an index or an answer found before would leave out are tried too: it is said where they fail.
  const all = ['--disable-indexing', '--disable-early-exit']
  const flags = ['--explain', 'full', ...all, '--show-builtin-errors', '--format', 'json']
  const numbers = plainNumbers ? ` with to_number as data.${TRACE_PACKAGE}.number` : ''
  const place = rule.map(part => JSON.stringify(part)).join('][')
  const query = `data[${place}] with time.now_ns as ${nowNs}${numbers}`
  return ['eval', '-b', '.', '--ignore', '*_test.rego', '-d', helper, '-i', inputFile, ...flags, query]
}

/** Its rules are no part of the policy. */
export const TRACE_PACKAGE = 'sallyport_trace'

const TRACE_HELPER = `package ${TRACE_PACKAGE}

number(x) := to_number(regex.replace(trim_prefix(x, "+"), \`^(-?)0+([0-9])\`, "$1$2")) if is_string(x)

number(x) := to_number(x) if not is_string(x)
`

/** For `--run`: tests by their names, and no other. */
export function testPattern(names: readonly string[]): string {
  return `^(${names.map(name => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})$`
}

function linesOf(snapshot: Snapshot, name: string): string[] {
  const file = snapshot.files.find(file => file.name === path.posix.normalize(name))
  return file?.bytes.toString('utf8').split('\n') ?? []
}

/** How many files are parsed at the same time. */
const PARSERS = 4

/** By contents: a reload parses what has changed. */
const parsedBefore = new Map<string, string>()
const MOST_PARSED = 500

async function parsed(
  name: string,
  snapshot: Snapshot,
  run: (args: readonly string[]) => Promise<OpaOutput>,
): Promise<Module | undefined> {
  const text = snapshot.files.find(file => file.name === name)?.bytes.toString('utf8') ?? ''
  const known = parsedBefore.get(text)
  if (known !== undefined) return readModule(name, known)
  const output = await run(['parse', '--format', 'json', '--json-include', 'locations', name])
  if (output.status !== 0) return undefined
  if (parsedBefore.size >= MOST_PARSED) parsedBefore.clear()
  parsedBefore.set(text, output.stdout)
  return readModule(name, output.stdout)
}

/** In order, so many at a time; what is undefined is left out. */
async function mapSome<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R | undefined>,
): Promise<R[]> {
  const results: (R | undefined)[] = []
  const entries = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results.filter(result => result !== undefined)
}

/** The capabilities of an `opa` are asked for once. */
const offeredBy = new Map<string, Promise<string>>()

function offered(opa: OpaCommand): Promise<string> {
  const known = offeredBy.get(opa.path)
  if (known) return known
  const asked = opa
    .run(['capabilities', '--current'])
    .then(({ stdout }) => JSON.stringify(capabilities(stdout)))
  offeredBy.set(opa.path, asked)
  asked.catch(() => offeredBy.delete(opa.path))
  return asked
}
