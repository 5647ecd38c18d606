/**
 * The rules of the house, run on the imports of src/: a rule that is not run is a wish.
 *
 * A room is a folder of src/. Rooms do not know each other; the corridor and the toolbox, and the
 * files beside them at the root, open doors.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

const SRC = path.join(import.meta.dirname, '../src')
/** These folders may import rooms; no room may import them. */
const OPENS_DOORS = new Set(['corridor', 'gateway', 'toolbox', 'cli'])

interface SourceFile {
  /** Relative to src/, with forward slashes. */
  readonly name: string
  /** The first folder, or empty for a file at the root. */
  readonly room: string
  /** Without comments. */
  readonly code: string
  readonly imports: readonly string[]
}

const FILES: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map(name => name.replaceAll(path.sep, '/'))
  .filter(name => name.endsWith('.ts'))
  .sort()
  .map(name => {
    const code = withoutComments(readFileSync(path.join(SRC, name), 'utf8'))
    return {
      name,
      room: name.includes('/') ? (name.split('/')[0] as string) : '',
      code,
      imports: importsIn(code),
    }
  })

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function importsIn(code: string): string[] {
  const static_ = code.matchAll(/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s+['"]([^'"]+)['"]/gm)
  const bare = code.matchAll(/^\s*import\s+['"]([^'"]+)['"]/gm)
  const dynamic = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)
  return [...static_, ...bare, ...dynamic].map(match => match[1] as string)
}

/** What a relative import leads to, relative to src/. */
function localImports({ name, imports }: SourceFile): string[] {
  return imports
    .filter(target => target.startsWith('.'))
    .map(target => path.posix.join(path.posix.dirname(name), target))
}

function packagesIn({ imports }: SourceFile): string[] {
  return imports
    .filter(target => !target.startsWith('.') && !target.startsWith('node:'))
    .map(target =>
      target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/'),
    )
}

const roomOf = (name: string): string => (name.includes('/') ? (name.split('/')[0] as string) : '')

describe('the imports', () => {
  it('are found: the rules below are run on something', () => {
    expect(FILES.length).toBeGreaterThan(50)
    expect(FILES.find(file => file.name === 'gateway/gateway.ts')?.imports.length).toBeGreaterThan(10)
    expect(
      importsIn("import a, {\n  b,\n} from './c.ts'\nexport * from 'd'\nimport 'e'\nawait import('f')"),
    ).toEqual(['./c.ts', 'd', 'e', 'f'])
  })

  it('lead to files of src/, with their extension', () => {
    const names = new Set(FILES.map(file => file.name))
    const lost = FILES.flatMap(file =>
      localImports(file)
        .filter(target => !names.has(target))
        .map(target => `${file.name} -> ${target}`),
    )
    expect(lost).toEqual([])
  })

  it('name the modules of Node as such', () => {
    const known = new Set(builtinModules)
    expect(
      FILES.flatMap(file =>
        file.imports.filter(target => known.has(target)).map(target => `${file.name} -> ${target}`),
      ),
    ).toEqual([])
  })
})

describe('a room', () => {
  const rooms = FILES.filter(file => file.room !== '' && !OPENS_DOORS.has(file.room))

  it('imports itself and contract/, and no other room', () => {
    const doors = rooms.flatMap(file =>
      localImports(file)
        .filter(target => ![file.room, 'contract'].includes(roomOf(target)))
        .map(target => `${file.name} -> ${target}`),
    )
    expect(doors).toEqual([])
  })

  it('has folders that do not need each other in a circle', () => {
    const needs = new Map<string, Set<string>>()
    for (const file of FILES)
      for (const target of localImports(file)) {
        const [from, to] = [path.posix.dirname(file.name), path.posix.dirname(target)]
        const inOneRoom = from.includes('/') && to.includes('/') && roomOf(from) === roomOf(to)
        if (inOneRoom && from !== to) needs.set(from, (needs.get(from) ?? new Set()).add(to))
      }
    expect(needs.get('policy/activate')).toContain('policy/engine')
    const reached = (from: string, seen = new Set<string>()): Set<string> => {
      for (const to of needs.get(from) ?? []) if (!seen.has(to)) reached(to, seen.add(to))
      return seen
    }
    expect([...needs.keys()].filter(folder => reached(folder).has(folder))).toEqual([])
  })

  it('is not the toolbox of the corridor, nor the corridor of the toolbox', () => {
    const crossed = FILES.flatMap(file =>
      localImports(file)
        .filter(
          target =>
            (file.room === 'corridor' && ['toolbox', ''].includes(roomOf(target))) ||
            (file.room === 'toolbox' && roomOf(target) === 'corridor'),
        )
        .map(target => `${file.name} -> ${target}`),
    )
    expect(crossed).toEqual([])
  })
})

describe('cli/', () => {
  it('imports the toolbox alone, and is imported by cli.ts alone', () => {
    const crossed = FILES.flatMap(file =>
      localImports(file)
        .filter(target =>
          file.room === 'cli'
            ? !['cli', 'toolbox', 'contract'].includes(roomOf(target))
            : roomOf(target) === 'cli' && file.name !== 'cli.ts',
        )
        .map(target => `${file.name} -> ${target}`),
    )
    expect(crossed).toEqual([])
  })
})

describe('contract/', () => {
  const contract = FILES.filter(file => file.room === 'contract')

  it('imports nothing of the house but itself', () => {
    expect(
      contract.flatMap(file => localImports(file).filter(target => roomOf(target) !== 'contract')),
    ).toEqual([])
  })

  it('has no I/O', () => {
    const io = /^node:(fs|http|https|child_process|dgram|tls|worker_threads|process|timers)/
    expect(
      contract.flatMap(file =>
        file.imports.filter(target => io.test(target)).map(target => `${file.name} -> ${target}`),
      ),
    ).toEqual([])
  })
})

/** More than one file may know a package here, for the reason that is given. */
const SEVERAL_DOORS: Readonly<Record<string, string>> = {
  express:
    'two sockets of two kinds: the public listener and the admin listener are each a door of their own',
}

/** A dependency that nobody imports stands here, for the reason that is given, until it is removed. */
describe('an npm package', () => {
  const doors = new Map<string, string[]>()
  for (const file of FILES) {
    for (const name of new Set(packagesIn(file))) doors.set(name, [...(doors.get(name) ?? []), file.name])
  }

  it('is imported by exactly one file, types included', () => {
    const several = [...doors].filter(
      ([name, files]) => files.length > 1 && !Object.hasOwn(SEVERAL_DOORS, name),
    )
    expect(Object.fromEntries(several)).toEqual({})
  })

  it('has several doors only where the list above says so', () => {
    expect(Object.keys(SEVERAL_DOORS).filter(name => (doors.get(name)?.length ?? 0) < 2)).toEqual([])
  })

  it('that is imported is a dependency', () => {
    const declared = new Set([...Object.keys(manifest.dependencies), manifest.name])
    expect([...doors].filter(([name]) => !declared.has(name))).toEqual([])
  })

  it('that is a dependency is imported', () => {
    expect(Object.keys(manifest.dependencies).filter(name => !doors.has(name))).toEqual([])
  })

  it('that is optional is named where it is looked for', () => {
    const [finder] = FILES.filter(file => file.name === 'policy/compile/opa-command.ts')
    for (const name of Object.keys(manifest.optionalDependencies)) {
      const stem = name.split('-').slice(0, -2).join('-')
      expect(finder?.code).toContain(stem)
    }
  })
})

/** `process`, the clock and chance are handed in, but for these, each for a reason. */
/** `ui` runs in a browser. */
const FREE_ROOMS = new Set(['', 'server', 'store', 'toolbox', 'cli', 'ui'])
const READS_THE_WORLD: Readonly<Record<string, string>> = {
  'gateway/gateway.ts': 'the composition root hands them out',
  'gateway/primary.ts': 'as the composition root, for several workers',
  'workers/processes.ts': 'which worker this process is, and how it ends, is its job',
  'config/load.ts': 'the environment is the default of a parameter: a test gives its own',
  'identity/key-file.ts': 'the age of a lock is told by the clock that wrote it, that of the file system',
  'policy/compile/opa-command.ts':
    'which opa there is depends on the platform, and the environment is the default of a parameter',
  'policy/conformance.ts': 'a library form whose promised signature has no clock',
}

describe('the process, the clock and chance', () => {
  const WORLD = /\bprocess\.\w|['"]node:process['"]|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b/
  const readers = FILES.filter(file => !FREE_ROOMS.has(file.room) && WORLD.test(file.code)).map(
    file => file.name,
  )

  it('are handed in', () => {
    expect(readers.filter(name => !Object.hasOwn(READS_THE_WORLD, name))).toEqual([])
  })

  it('are read only where the list above says so', () => {
    expect(Object.keys(READS_THE_WORLD).filter(name => !readers.includes(name))).toEqual([])
  })
})
