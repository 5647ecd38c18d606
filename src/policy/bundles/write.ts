/**
 * Writes a bundle. The same files give the same bytes, whoever builds them and when.
 */
import { gzipSync } from 'node:zlib'
import { type BundleFiles, DATA, MANIFEST, type Manifest, POLICY, SIGNATURES } from './bundle.ts'
import { writeTar } from './tar.ts'

/** @returns the files with another manifest. */
export function withManifest(files: BundleFiles, manifest: Manifest): BundleFiles {
  return new Map([...files, [MANIFEST, Buffer.from(`${JSON.stringify(manifest)}\n`)]])
}

/** What a reader wants first comes first; the rest by name. */
const ORDER = [SIGNATURES, MANIFEST, DATA, POLICY]
/** In a gzip header: the system it was packed on. */
const OS_BYTE = 9
const OS_UNKNOWN = 255

/** @returns A `.tar.gz`. */
export function writeBundle(files: BundleFiles): Buffer {
  const rank = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)
  const sorted = [...files].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
  // With the leading slash that OPA writes: a manifest names its module so.
  const archive = gzipSync(writeTar(sorted.map(([name, bytes]) => ({ name: `/${name}`, bytes }))), {
    level: 9,
  })
  archive[OS_BYTE] = OS_UNKNOWN
  return archive
}
