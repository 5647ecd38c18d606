/**
 * What `test PATH…` means: which policy, and which of its tests.
 *
 * A path inside the configured policy narrows it. A folder with Rego elsewhere is a policy of its own.
 * Scenarios elsewhere are about the configured policy.
 */
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { CommandFailure, EXIT } from './output.ts'

export interface TestTarget {
  /** The policy's folder. */
  readonly folder: string
  /** Which of its files are wanted, by absolute path; undefined: all. */
  readonly only: readonly string[] | undefined
  /** Scenario files from elsewhere, absolute. */
  readonly scenarios: readonly string[]
}

/** @param configured - The policy of the config, absolute, if there is a config. @throws CommandFailure */
export function testTargets(paths: readonly string[], configured: string | undefined): TestTarget[] {
  const targets: TestTarget[] = []
  const inside: string[] = []
  const scenarios: string[] = []
  for (const given of paths.map(name => path.resolve(name))) {
    const kind = kindOf(given)
    if (configured !== undefined && isWithin(given, configured)) inside.push(given)
    else if (kind === 'rego') targets.push({ folder: path.dirname(given), only: [given], scenarios: [] })
    else if (kind === 'folder' && holds(given, '.rego'))
      targets.push({ folder: given, only: undefined, scenarios: [] })
    else scenarios.push(...(kind === 'folder' ? filesIn(given).filter(isScenario) : [given]))
  }
  if (inside.length + scenarios.length === 0) return targets
  if (configured === undefined)
    throw new CommandFailure(
      EXIT.usage,
      'scenarios alone need a config that says which policy they are about',
    )
  const only = inside.includes(configured) ? undefined : inside
  return [{ folder: configured, only, scenarios }, ...targets]
}

export function isWanted(file: string, only: readonly string[] | undefined): boolean {
  return only === undefined || only.some(wanted => isWithin(path.resolve(file), wanted))
}

function isWithin(file: string, folder: string): boolean {
  return file === folder || file.startsWith(folder + path.sep)
}

function kindOf(file: string): 'folder' | 'rego' | 'scenario' {
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found) throw new CommandFailure(EXIT.usage, `there is no ${path.relative(process.cwd(), file)}`)
  if (found.isDirectory()) return 'folder'
  if (file.endsWith('.rego')) return 'rego'
  if (isScenario(file)) return 'scenario'
  throw new CommandFailure(
    EXIT.usage,
    `${path.relative(process.cwd(), file)} is neither a folder, nor *.rego, nor *.scenario.yaml; a bundle holds no tests`,
  )
}

function isScenario(file: string): boolean {
  return file.endsWith('.scenario.yaml')
}

function holds(folder: string, ending: string): boolean {
  return filesIn(folder).some(file => file.endsWith(ending))
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => path.join(folder, name))
    .sort()
}
