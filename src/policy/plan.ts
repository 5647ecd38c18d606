/**
 * The plan of a policy, made by `opa` from the sources that a bundle carries: what it reads is read there.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { BundleFiles } from './bundle.ts'
import type { OpaCommand } from './opa-command.ts'
import { READS_ANYTHING, type Reads, readsOf } from './reads.ts'
import { isTest, type SourceFile } from './source.ts'
import { readTar } from './tar.ts'

/**
 * The sources and the data in a bundle, as a folder would hold them. What tells of the module is left out:
 * they are to be compiled again.
 */
export function sourcesIn(files: BundleFiles): SourceFile[] {
  return [...files]
    .filter(([name]) => (name.endsWith('.rego') && !isTest(name)) || /(^|\/)data\.json$/.test(name))
    .map(([name, bytes]) => ({ name, bytes: Buffer.from(bytes) }))
}

/** @returns What the policy in a bundle reads; anything, where that cannot be told. */
export async function readsOfBundle(
  files: BundleFiles,
  entrypoint: string,
  opa: OpaCommand | undefined,
): Promise<Reads> {
  const sources = sourcesIn(files)
  if (!opa || !sources.some(({ name }) => name.endsWith('.rego'))) return READS_ANYTHING
  const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-plan-'))
  try {
    for (const { name, bytes } of sources) {
      const file = path.join(folder, 'sources', name)
      // The names in an archive are whatever its maker wrote.
      if (!file.startsWith(path.join(folder, 'sources') + path.sep)) return READS_ANYTHING
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, bytes)
    }
    const archive = path.join(folder, 'plan.tar.gz')
    const flags = ['--v1-compatible', '--prune-unused', '-o', archive]
    const { status } = await opa.run(['build', '-t', 'plan', '-e', entrypoint, '-b', '.', ...flags], {
      cwd: path.join(folder, 'sources'),
    })
    return status === 0 ? readsOf(planIn(readFileSync(archive))) : READS_ANYTHING
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function planIn(archive: Uint8Array): string {
  const plan = readTar(gunzipSync(archive)).find(({ name }) => name === 'plan.json')
  return new TextDecoder().decode(plan?.bytes)
}
