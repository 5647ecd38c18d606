/**
 * A policy folder, read whole at one moment.
 *
 * What is compiled is this snapshot and never the live folder, so an edit that arrives half-way
 * through a build cannot mix two versions. Read as `opa build -b` reads it: `*.rego`, and
 * `data.json` / `data.yaml` mounted by folder, with `data.schema.json` beside them if there is one.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Snapshot {
  readonly files: readonly SourceFile[]
  /** Of all files, tests included: whether anything changed. */
  readonly digest: string
  /** Of what decides, tests left out: the revision. */
  readonly revision: string
}

export interface SourceFile {
  /** Relative to the folder, with forward slashes. */
  readonly name: string
  readonly bytes: Buffer
}

/** The folder is not there, empty, or cannot be read. `code` is `unreadable_source`. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code = 'unreadable_source'
}

const DATA_FILES = new Set(['data.json', 'data.yaml', 'data.yml', '.manifest', 'data.schema.json'])
const MOST_FILES = 10_000
/** Of one file: a compiler that is given more takes minutes, and data is many times larger in the engine. */
const MOST_SOURCE_BYTES = 8 * 1024 * 1024
const MOST_DATA_BYTES = 64 * 1024 * 1024

/** @throws SourceError */
export function readSource(folder: string): Snapshot {
  const files: SourceFile[] = []
  try {
    collect(folder, '', files)
  } catch (cause) {
    throw new SourceError(
      `cannot read ${folder}: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`,
      { cause },
    )
  }
  if (!files.some(file => file.name.endsWith('.rego')))
    throw new SourceError(`there is no .rego file in ${folder}`)
  return {
    files,
    digest: digestOf(files),
    revision: digestOf(files.filter(file => !isTest(file.name))).slice(0, 16),
  }
}

/** Whether a file is for tests and checks only and has no part in deciding. */
export function isTest(name: string): boolean {
  return (
    name.endsWith('_test.rego') ||
    name.endsWith('.scenario.yaml') ||
    path.posix.basename(name) === DATA_SCHEMA
  )
}

/** Beside data: what may be in it. */
export const DATA_SCHEMA = 'data.schema.json'

/** Writes the snapshot into an empty folder, for a command that reads files. */
export function writeSnapshot(snapshot: Snapshot, folder: string): void {
  for (const { name, bytes } of snapshot.files) {
    const file = path.join(folder, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
}

function collect(folder: string, prefix: string, files: SourceFile[]): void {
  for (const name of readdirSync(folder).sort()) {
    const file = path.join(folder, name)
    // Hidden entries are left out: Kubernetes keeps its switched copies of the same files there.
    const wanted = DATA_FILES.has(name) || name.endsWith('.rego') || name.endsWith('.scenario.yaml')
    if (name.startsWith('.') && name !== '.manifest') continue
    // Not `lstat`: a symlink is what it leads to.
    const stat = statSync(file)
    if (stat.isDirectory()) collect(file, `${prefix}${name}/`, files)
    else if (wanted) {
      // A pipe would be waited for, with all that is served.
      if (!stat.isFile()) throw new Error(`${prefix}${name} is no file`)
      const most = name.endsWith('.rego') ? MOST_SOURCE_BYTES : MOST_DATA_BYTES
      if (stat.size > most) throw new Error(`${prefix}${name} is larger than ${most} bytes`)
      files.push({ name: prefix + name, bytes: readFileSync(file) })
    }
    if (files.length > MOST_FILES) throw new Error(`more than ${MOST_FILES} files`)
  }
}

function digestOf(files: readonly SourceFile[]): string {
  const digest = createHash('sha256')
  for (const { name, bytes } of files) digest.update(`${name}\0${bytes.length}\0`).update(bytes)
  return digest.digest('hex')
}
