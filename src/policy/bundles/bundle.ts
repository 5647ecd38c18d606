/**
 * A bundle: compiled policy and data in OPA's bundle format, a gzipped tar.
 */
import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { canonicalJson, readJson } from '../values/canonical-json.ts'
import { RegoObject, type Value } from '../values/values.ts'
import { readTar, type TarFile } from './tar.ts'

export interface Bundle {
  readonly wasm: Uint8Array
  /** The base data document, JSON text. */
  readonly dataText: string
  readonly manifest: Manifest
  /** Everything in it by name, in the order of the archive. */
  readonly files: BundleFiles
}

export type BundleFiles = ReadonlyMap<string, Uint8Array>

/** As far as it is read here. See OPA's documentation of bundles, "The .manifest file". */
export interface Manifest {
  readonly revision?: string
  readonly roots?: readonly string[]
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly [more: string]: unknown
}

/** The file is no bundle that can be served. `code` is `bad_bundle`. */
export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code = 'bad_bundle'
}

export const MANIFEST = '.manifest'
export const SIGNATURES = '.signatures.json'
export const POLICY = 'policy.wasm'
export const DATA = 'data.json'

const inflate = promisify(gunzip)
/** A few kilobytes can be packed that unfold to more than the memory of a machine. */
const MOST_BYTES = 512 * 1024 * 1024

/** @param archive - A `.tar.gz` as `sallyport build` or `opa build -t wasm` writes it. @throws BundleError */
export async function readBundle(archive: Uint8Array): Promise<Bundle> {
  const files = new Map((await unpack(archive)).map(({ name, bytes }) => [name, bytes]))
  const wasm = files.get(POLICY)
  // A delta is no policy by itself, and OPA does not sign it.
  if (files.has('patch.json')) throw new BundleError('it is a delta bundle: a whole one is needed')
  if (!wasm) throw new BundleError(`there is no ${POLICY} in it: build it with \`sallyport build\``)
  return { wasm, dataText: dataIn(files), manifest: manifestIn(files), files }
}

/**
 * Which of two bundles is older: a number that grows, `sequence` in the manifest's metadata. Undefined: it
 * has none, and is never older than another.
 */
export function sequenceOf({ metadata }: Manifest): number | undefined {
  const sequence = metadata?.sequence
  return typeof sequence === 'number' && Number.isFinite(sequence) ? sequence : undefined
}

async function unpack(archive: Uint8Array): Promise<TarFile[]> {
  let tar: Uint8Array
  try {
    tar = await inflate(archive, { maxOutputLength: MOST_BYTES })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const reason =
      code === 'ERR_BUFFER_TOO_LARGE' ? `it unfolds to more than ${MOST_BYTES} bytes` : `not gzip: ${message}`
    throw new BundleError(reason, { cause })
  }
  try {
    return readTar(tar)
  } catch (cause) {
    throw new BundleError((cause as Error).message, { cause })
  }
}

/** Data is mounted by folder, as OPA does: `a/b/data.json` is `data.a.b`. */
function dataIn(files: BundleFiles): string {
  const names = [...files.keys()].filter(name => /(^|\/)data\.(json|ya?ml)$/.test(name))
  const yaml = names.find(name => !name.endsWith('.json'))
  if (yaml) throw new BundleError(`${yaml} is not JSON: build the bundle with \`sallyport build\``)
  const documents = names.map(name => [name.split('/').slice(0, -1), documentIn(files, name)] as const)
  // One document keeps its text as it is.
  if (names.length === 1 && names[0] === DATA) return textIn(files, DATA)
  const root = new RegoObject()
  for (const [folder, document] of documents) mount(root, folder, document)
  return canonicalJson(root)
}

function mount(root: RegoObject, folder: readonly string[], document: RegoObject): void {
  let node = root
  for (const part of folder) {
    const next = node.get(part) ?? new RegoObject()
    if (!(next instanceof RegoObject)) throw new BundleError(`two data files give ${folder.join('.')}`)
    node.set(part, next)
    node = next
  }
  for (const [key, value] of document) merge(node, key as string, value)
}

function merge(into: RegoObject, key: string, value: Value): void {
  const there = into.get(key)
  if (there === undefined) into.set(key, value)
  else if (there instanceof RegoObject && value instanceof RegoObject)
    for (const [name, member] of value) merge(there, name as string, member)
  else throw new BundleError(`two data files give ${key}`)
}

function documentIn(files: BundleFiles, name: string): RegoObject {
  const text = textIn(files, name)
  try {
    const document = readJson(text)
    if (document instanceof RegoObject) return document
  } catch (cause) {
    throw new BundleError(`${name}: ${(cause as Error).message}`, { cause })
  }
  throw new BundleError(`${name} is not a JSON object`)
}

function manifestIn(files: BundleFiles): Manifest {
  if (!files.has(MANIFEST)) return {}
  documentIn(files, MANIFEST)
  const manifest = JSON.parse(textIn(files, MANIFEST)) as Manifest
  const { revision, metadata } = manifest
  if (revision !== undefined && typeof revision !== 'string')
    throw new BundleError(`the revision in ${MANIFEST} is not a string`)
  if (metadata !== undefined && (typeof metadata !== 'object' || metadata === null))
    throw new BundleError(`the metadata in ${MANIFEST} is not an object`)
  return manifest
}

function textIn(files: BundleFiles, name: string): string {
  const bytes = files.get(name) as Uint8Array
  if (!isUtf8(bytes)) throw new BundleError(`${name} is not UTF-8`)
  return new TextDecoder().decode(bytes)
}
