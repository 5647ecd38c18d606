import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

/** What `scripts/try-package.sh` installs and runs. */
describe('the package', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sallyport-pack-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  interface Packed {
    readonly filename: string
    readonly files: readonly { readonly path: string; readonly mode: number }[]
  }

  // Without its scripts: what is built stays as it is under the tests that run beside this one.
  const pack = (): Packed => {
    const told = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return JSON.parse(told)[0] as Packed
  }
  const hashOf = ({ filename }: Packed): string =>
    createHash('sha256')
      .update(readFileSync(path.join(folder, filename)))
      .digest('hex')

  it('is the same, byte by byte, each time it is packed', () => {
    expect(hashOf(pack())).toBe(hashOf(pack()))
  })

  it('holds what is needed, and nothing else', () => {
    const names = pack().files.map(file => file.path)
    const tops = new Set(names.map(name => name.split('/')[0]))
    expect([...tops].sort()).toEqual([...manifest.files, 'package.json'].sort())
    expect(names).toContain('dist/cli.js')
    expect(names.filter(name => /\.test\.|(^|\/)\.|\.(ts)$/.test(name) && !name.endsWith('.d.ts'))).toEqual(
      [],
    )
  })

  it('has a bill of materials with every package that runs', () => {
    const args = ['sbom', '--omit', 'dev', '--sbom-format', 'cyclonedx', '--package-lock-only']
    const text = execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const bill = JSON.parse(text) as { bomFormat: string; components: { name: string }[] }
    expect(bill.bomFormat).toBe('CycloneDX')
    const names = bill.components.map(component => component.name)
    for (const name of Object.keys(manifest.dependencies)) expect(names).toContain(name)
    expect(names).not.toContain('vitest')
  })
})
