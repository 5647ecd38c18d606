/**
 * `build`: a policy folder → an OPA bundle, checked, tested and, with a key, signed.
 *
 * OPA's optimiser is left off: `-O1` gains under 5 % and bakes the bundle's data into the code, so that data
 * which is put there later would be ignored.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isUrl } from '../contract/addresses.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { Refused } from '../policy/activate/activation.ts'
import { compile } from '../policy/activate/edition.ts'
import type { BundleFiles, Manifest } from '../policy/bundles/bundle.ts'
import { signBundle } from '../policy/bundles/signature.ts'
import { type BundleKey, KeyError, signingKey } from '../policy/bundles/signature-keys.ts'
import { withManifest, writeBundle } from '../policy/bundles/write.ts'
import { readSource, type Snapshot, SourceError } from '../policy/compile/source.ts'
import { runOwnTests } from '../policy/tests/own-tests.ts'
import { VERSION } from '../version.ts'
import { shownPath } from './config.ts'
import { CommandExit, CommandFailure, EXIT, type Format, print, printFindings, printJson } from './output.ts'
import { type Setting, settingOf } from './setting.ts'

export interface BuildOptions {
  readonly format: Format
  readonly output: string
  readonly revision?: string
  readonly sequence?: number
  /** A file. */
  readonly signingKey?: string
  readonly signingAlg: string
}

/** @param config - Of the gateway that scenarios are about; without one, the defaults and no pools. */
export async function build(
  folder: string,
  config: GatewayConfig | undefined,
  options: BuildOptions,
): Promise<void> {
  if (isUrl(folder)) throw new CommandFailure(EXIT.usage, 'the policy of the config is no folder: name one')
  const key = keyFor(options)
  const { snapshot, files, manifest } = await compiled(path.resolve(folder), settingOf(config), options)
  const sequence = sequenceFor(options, key !== undefined)
  const finished = finishedManifest(manifest, options.revision ?? snapshot.revision, sequence)
  const unsigned = withManifest(files, finished)
  const archive = writeBundle(key ? signBundle(unsigned, key, options.signingAlg) : unsigned)
  writeWhole(options.output, archive)
  const { revision = '' } = finished
  report({ file: options.output, revision, sequence, bytes: archive.length, key, options })
}

/** Before the work: a key that does not fit should not cost the tests. */
function keyFor({ signingKey: file, signingAlg }: BuildOptions): BundleKey | undefined {
  if (file === undefined) return undefined
  try {
    return signingKey(file, signingAlg)
  } catch (error) {
    if (error instanceof KeyError) throw new CommandFailure(EXIT.usage, error.message)
    throw error
  }
}

async function compiled(
  folder: string,
  scenarios: Setting,
  { format }: BuildOptions,
): Promise<{ snapshot: Snapshot; files: BundleFiles; manifest: Manifest }> {
  const shown = shownPath(folder)
  try {
    const snapshot = readSource(folder)
    const { entrypoint } = scenarios
    const needs = { shown, entrypoint, scenarios, ownTests: runOwnTests, strict: true }
    const { files, manifest } = await compile(snapshot, needs, async (_name, work) => work())
    return { snapshot, files, manifest }
  } catch (error) {
    if (error instanceof SourceError) {
      const { code, message } = error
      printFindings([{ severity: 'error', code, message, file: shown, line: 0, column: 0 }], format)
    } else if (error instanceof Refused) printFindings(error.findings, format)
    else throw error
    throw new CommandExit(EXIT.findings)
  }
}

/**
 * What tells a bundle that is older from one that is newer. It matters where signatures are demanded, so a
 * signed bundle has one: the time, unless told otherwise. An unsigned one has none of itself, and is the
 * same whenever it is built.
 */
function sequenceFor({ sequence }: BuildOptions, signed: boolean): number | undefined {
  const epoch = process.env.SOURCE_DATE_EPOCH
  if (sequence !== undefined) return sequence
  if (epoch !== undefined && /^\d+$/.test(epoch)) return Number(epoch)
  return signed ? Date.now() / 1000 : undefined
}

function finishedManifest(manifest: Manifest, revision: string, sequence: number | undefined): Manifest {
  const metadata = {
    ...manifest.metadata,
    gateway_version: VERSION,
    ...(sequence === undefined ? {} : { sequence }),
  }
  return { ...manifest, revision, metadata }
}

/** By a rename: a gateway that serves this file never reads half of it. */
function writeWhole(file: string, archive: Uint8Array): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  const next = `${file}.next`
  writeFileSync(next, archive)
  renameSync(next, file)
}

interface Report {
  readonly file: string
  readonly revision: string
  readonly sequence: number | undefined
  readonly bytes: number
  readonly key: BundleKey | undefined
  readonly options: BuildOptions
}

function report({ file, revision, sequence, bytes, key, options }: Report): void {
  const signature = key ? options.signingAlg : null
  if (options.format === 'json') {
    printJson({ file, revision, sequence: sequence ?? null, bytes, signature })
    return
  }
  const signed = signature === null ? 'not signed' : `signed with ${signature}`
  print(`${file}: revision ${revision}, ${bytes} bytes, ${signed}`)
}
