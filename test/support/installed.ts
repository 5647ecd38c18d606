/**
 * Programs of other projects that a test needs: those on PATH, else those of Debian's packages, installed where
 * that is ours to do. In CI a test is never left out for the lack of one.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'

/** @returns its path; undefined, and a line that says so, when it is not there and cannot be installed. */
export function installed(command: string, debianPackage: string): string | undefined {
  const found = onPath(command) ?? (install(debianPackage) ? onPath(command) : undefined)
  if (found) return found
  const missing = `${command} is not installed (Debian: apt-get install ${debianPackage})`
  if (process.env.CI) throw new Error(missing)
  process.stderr.write(`left out: tests that need ${command}: ${missing}\n`)
  return undefined
}

function onPath(command: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .map(folder => path.join(folder, command))
    .find(file => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** Another test may be installing. */
const PATIENTLY = ['-o', 'DPkg::Lock::Timeout=120']

function install(debianPackage: string): boolean {
  if (process.getuid?.() !== 0 || !onPath('apt-get')) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  try {
    for (const args of [
      ['update', '-q'],
      ['install', '-qy', '--no-install-recommends', debianPackage],
    ])
      execFileSync('apt-get', [...PATIENTLY, ...args], { env, stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
