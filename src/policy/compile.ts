/**
 * Compile: a snapshot of sources → a bundle, or findings that say file, line and column.
 *
 * `opa` checks types against the published input schema, refuses builtins that are not offered,
 * runs the policy's tests, and compiles to WASM.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Finding } from '../contract/findings.ts'
import { inputSchema } from '../contract/input.schema.ts'
import { capabilities } from './builtins/capabilities.ts'
import { type Bundle, readBundle } from './bundle.ts'
import type { OpaCommand, OpaOutput } from './opa-command.ts'
import { type Coverage, coverageIn, findingsIn, resultsIn, type TestResult } from './opa-output.ts'
import { type Snapshot, writeSnapshot } from './source.ts'

export interface Workshop {
  /** Findings of the parser, the compiler and the type checker. `strict` adds OPA's strict mode. */
  check(options?: { strict?: boolean }): Promise<Finding[]>
  test(options?: { run?: string; coverage?: boolean }): Promise<TestRun>
  build(
    entrypoint: string,
  ): Promise<
    { bundle: Bundle; findings: readonly Finding[] } | { bundle: undefined; findings: readonly Finding[] }
  >
  close(): void
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
  writeFileSync(schemaFile, JSON.stringify(inputSchema))
  writeFileSync(capabilitiesFile, await offered(opa))

  const run = (args: readonly string[]): Promise<OpaOutput> =>
    opa.run([...args, '--v1-compatible'], { cwd: sources })
  const show = (name: string): string => path.join(shown, name)

  return {
    async check({ strict = false } = {}) {
      const flags = [
        '--schema',
        schemaFile,
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
      const covered = await run(['test', '-b', '.', '--coverage', '--format', 'json'])
      return { results, findings: [], coverage: coverageIn(covered, show) }
    },
    async build(entrypoint) {
      const archive = path.join(folder, 'bundle.tar.gz')
      const flags = [
        '--capabilities',
        capabilitiesFile,
        '--ignore',
        '*_test.rego',
        '--prune-unused',
        '-o',
        archive,
      ]
      const output = await run(['build', '-t', 'wasm', '-e', entrypoint, '-b', '.', ...flags])
      if (output.status !== 0) return { bundle: undefined, findings: findingsIn(output, show) }
      return { bundle: await readBundle(readFileSync(archive)), findings: [] }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
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
