/**
 * A bundle: compiled policy and data in OPA's bundle format, a gzipped tar. The one door of `nanotar`.
 */
import { isUtf8 } from 'node:buffer'
import { parseTarGzip } from 'nanotar'

export interface Bundle {
  readonly wasm: Uint8Array
  /** The base data document, JSON text. */
  readonly dataText: string
}

/** The file is no bundle that can be served. `code` is `bad_bundle`. */
export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code = 'bad_bundle'
}

/** @param archive - A `.tar.gz` as `opa build -t wasm` writes it. @throws BundleError */
export async function readBundle(archive: Uint8Array): Promise<Bundle> {
  const files = new Map<string, Uint8Array>()
  try {
    for (const { name, data } of await parseTarGzip(archive)) {
      if (data) files.set(name.replace(/^\.?\/+/, ''), data)
    }
  } catch (cause) {
    throw new BundleError('not a gzipped tar archive', { cause })
  }
  const wasm = files.get('policy.wasm')
  if (!wasm) throw new BundleError('there is no policy.wasm in it: build it with `opa build -t wasm`')
  const data = files.get('data.json')
  if (data && !isUtf8(data)) throw new BundleError('its data.json is not UTF-8')
  return { wasm, dataText: data ? new TextDecoder().decode(data) : '{}' }
}
