import { readFileSync } from 'node:fs'
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
