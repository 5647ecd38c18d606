/**
 * An edition of a bundle: an archive as it was read or fetched → a revision: read → verify → load → samples.
 * It was checked and tested where it was built.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { EpochMs } from '../../contract/units.ts'
import { type Bundle, BundleError, readBundle, sequenceOf } from '../bundles/bundle.ts'
import { isSigned, SignatureError, verifySignature } from '../bundles/signature.ts'
import { KeyError, verificationKeys } from '../bundles/signature-keys.ts'
import type { Edition } from './activation.ts'
import { type LoadNeeds, load, refused } from './load.ts'

export type BundleNeeds = LoadNeeds & VerifyNeeds

export interface VerifyNeeds {
  readonly signature: {
    /** Refuses what is not signed, and what is older than the last that was accepted. */
    readonly required: boolean
    /** Files of keys, any of which may have signed. */
    readonly publicKeyFile: readonly string[]
  }
  /** Of the last bundle that was accepted from this source. */
  lastSequence(): number | undefined
}

/** A bundle that was put in force. */
export interface AcceptedBundle {
  readonly archive: Uint8Array
  readonly revision: string
  readonly sequence: number | undefined
}

export interface BundleAt {
  readonly archive: Uint8Array
  /** When the source was last known to be this, if not now. */
  readonly confirmedAt?: EpochMs
  readonly keeper?: Keeper
}

/** Told of a bundle once it is in force, and each time that the source is seen to hold it still. */
export interface Keeper {
  accepted(bundle: AcceptedBundle): void
  confirmed(at: EpochMs): void
}

export function bundleEdition({ archive, confirmedAt, keeper }: BundleAt, needs: BundleNeeds): Edition {
  const digest = sha256(archive)
  let bundle: AcceptedBundle | undefined
  return {
    // With other keys the same bundle is another matter: what was refused may be good now.
    digest: [digest, ...needs.signature.publicKeyFile.map(digestOfFile)].join(),
    ...(confirmedAt === undefined ? {} : { confirmedAt }),
    async build(step) {
      const read = await step('read', () => opened(archive, needs))
      await step('verify', () => verify(read, needs))
      const revision = read.manifest.revision || digest.slice(0, 16)
      bundle = { archive, revision, sequence: sequenceOf(read.manifest) }
      return load(read, revision, needs, step)
    },
    accepted: () => bundle && keeper?.accepted(bundle),
    confirmed: at => keeper?.confirmed(at),
  }
}

async function opened(archive: Uint8Array, needs: BundleNeeds): Promise<Bundle> {
  try {
    return await readBundle(archive)
  } catch (cause) {
    if (cause instanceof BundleError) throw refused(needs, cause.code, cause.message)
    throw cause
  }
}

function verify({ files, manifest }: Bundle, needs: BundleNeeds): void {
  const { required, publicKeyFile } = needs.signature
  try {
    // Without a key at hand a signature that nobody demands says nothing.
    if (required || (isSigned(files) && publicKeyFile.length > 0))
      verifySignature(files, publicKeyFile.flatMap(verificationKeys))
  } catch (cause) {
    if (cause instanceof SignatureError || cause instanceof KeyError)
      throw refused(needs, cause.code, cause.message)
    throw cause
  }
  if (required) refuseOlder(sequenceOf(manifest), needs)
}

/** A good signature does not say that a bundle is still wanted: an old one could be played back. */
function refuseOlder(sequence: number | undefined, needs: BundleNeeds): void {
  const last = needs.lastSequence()
  if (sequence === undefined || last === undefined || sequence >= last) return
  throw refused(needs, 'older_bundle', `its sequence is ${sequence}; ${last} was accepted before`)
}

function digestOfFile(file: string): string {
  try {
    return sha256(readFileSync(file))
  } catch {
    return 'unreadable'
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
